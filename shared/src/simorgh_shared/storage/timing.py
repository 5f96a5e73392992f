"""How long the storage takes to answer, and what it refuses, by operation; told to Prometheus."""

import time
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OPERATIONS = (
    *("HeadBucket", "HeadObject", "GetObject", "PutObject", "CopyObject", "DeleteObject", "ListObjectsV2"),
    *("CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload"),
    *("ListMultipartUploads", "ListParts"),
)
"""What we ask the storage for; anything else is `other`."""
REASONS = ("refused", "failed", "silent")
"""A 4xx (one for an object that is not there is no fault); a 5xx; no answer."""

_SECONDS = Histogram(
    "simorgh_storage_seconds",
    "From a request to the storage until the head of its answer, retries included",
    ["operation"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_FAILURES = Counter(
    "simorgh_storage_failures_total", "Requests that the storage did not fulfil", ["operation", "reason"]
)
_BEGAN = "simorgh_began"


def watch(client: "S3Client") -> None:
    """Time every request of a client. Signing an address asks nobody and is not counted."""
    events = client.meta.events
    events.register("before-call.s3", _begin)
    events.register("after-call.s3", _end)
    events.register("after-call-error.s3", _break_off)


def _begin(context: dict[str, Any], model: Any, **_: object) -> None:
    context[_BEGAN] = (model.name if model.name in OPERATIONS else "other", time.perf_counter())


def _end(context: dict[str, Any], http_response: Any, **_: object) -> None:
    status = int(http_response.status_code)
    _note(context, None if status < 400 else "refused" if status < 500 else "failed")


def _break_off(context: dict[str, Any], **_: object) -> None:
    _note(context, "silent")


def _note(context: dict[str, Any], reason: str | None) -> None:
    operation, began = context[_BEGAN]
    for known in REASONS:  # a series that begins with its first failure shows no rise
        _FAILURES.labels(operation, known)
    _SECONDS.labels(operation).observe(time.perf_counter() - began)
    if reason is not None:
        _FAILURES.labels(operation, reason).inc()
