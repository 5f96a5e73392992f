"""Table classes, one aggregate a file. They mirror the migrations and are never API models."""

from simorgh_shared.db.models.access import AuditEvent, ProjectQuota, StreamTicket
from simorgh_shared.db.models.accounts import (
    ApiKey,
    Membership,
    Project,
    RefreshToken,
    User,
    UserSession,
    UserSettings,
)
from simorgh_shared.db.models.artifacts import Blob, BlobDeletion, File, Manifest, ManifestEntry
from simorgh_shared.db.models.base import Base
from simorgh_shared.db.models.batches import BatchAnswer
from simorgh_shared.db.models.conversations import Conversation, Message
from simorgh_shared.db.models.datasets import Dataset, DatasetVersion
from simorgh_shared.db.models.jobs import Attempt, Checkpoint, Job, JobEvent, Metric
from simorgh_shared.db.models.monitoring import HardwareHistory, HardwareSource
from simorgh_shared.db.models.registry import Alias, AliasChange, Model, ModelVersion
from simorgh_shared.db.models.uploads import Upload
from simorgh_shared.db.models.voice import Transcript
from simorgh_shared.db.models.workers import Duty, FairShare, QueueClock, StaleWrite, Worker

__all__ = [
    "Alias",
    "AliasChange",
    "ApiKey",
    "Attempt",
    "AuditEvent",
    "Base",
    "BatchAnswer",
    "Blob",
    "BlobDeletion",
    "Checkpoint",
    "Conversation",
    "Dataset",
    "DatasetVersion",
    "Duty",
    "FairShare",
    "File",
    "HardwareHistory",
    "HardwareSource",
    "Job",
    "JobEvent",
    "Manifest",
    "ManifestEntry",
    "Membership",
    "Message",
    "Metric",
    "Model",
    "ModelVersion",
    "Project",
    "ProjectQuota",
    "QueueClock",
    "RefreshToken",
    "StaleWrite",
    "StreamTicket",
    "Transcript",
    "Upload",
    "User",
    "UserSession",
    "UserSettings",
    "Worker",
]
