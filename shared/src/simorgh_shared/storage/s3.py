"""The S3 client: its settings are the ones that every service needs, in one place."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from simorgh_shared.settings import StorageSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def make_client(settings: StorageSettings, endpoint_url: str | None = None) -> "S3Client":
    """A client for the storage, or of another address of it. It is safe to share between threads."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url or settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=settings.s3_secret_access_key.get_secret_value(),
        region_name=settings.s3_region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=3,
            read_timeout=60,
            retries={"max_attempts": 3, "mode": "standard"},
            max_pool_connections=16,
            # Whoever sends a part to a signed address has no SDK to add a checksum; ours travel as SHA-256.
            request_checksum_calculation="when_required",
        ),
    )
