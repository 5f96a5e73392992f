"""The S3 client: its settings are the ones that every service needs, in one place."""

import functools
import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.timing import watch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# SeaweedFS tries to compress what has no type, or one that may be text: a quarter of its time for 100 MB.
_CONTENT_TYPE = "application/vnd.simorgh.blob"


@functools.cache
def _session() -> "boto3.session.Session":
    """One for all clients of the process: each session holds a description of S3 of its own, 13 MB."""
    return boto3.session.Session()


def make_client(settings: StorageSettings, endpoint_url: str | None = None) -> "S3Client":
    """A client for the storage, or of another address of it. It is safe to share between threads."""
    address = endpoint_url or settings.s3_endpoint_url
    client = _session().client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=settings.s3_secret_access_key.get_secret_value(),
        region_name=settings.s3_region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path", "payload_signing_enabled": _needs_signed_bodies(address)},
            connect_timeout=3,
            read_timeout=60,
            retries={"max_attempts": 3, "mode": "standard"},
            max_pool_connections=16,
            # Whoever sends a part to a signed address has no SDK to add a checksum; ours travel as SHA-256.
            request_checksum_calculation="when_required",
        ),
    )
    for operation in ("PutObject", "UploadPart"):  # of a part, boto3 has no parameter for it
        client.meta.events.register(f"before-call.s3.{operation}", _name_type)
    watch(client)
    return client


def _needs_signed_bodies(address: str | None) -> bool:
    """Whether somebody on the way could change a body: not over TLS, and not within one machine.

    Signing it costs a pass of SHA-256 at each end. Without an address the storage is Amazon's, over TLS.
    """
    if address is None or address.startswith("https:"):
        return False
    host = urlsplit(address).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _name_type(params: dict[str, Any], **_: object) -> None:
    params["headers"].setdefault("Content-Type", _CONTENT_TYPE)
