"""Makes the bucket of a storage of one's own before the services start: `python -m simorgh_shared.storage.bucket`."""

import sys

from botocore.exceptions import ClientError

from simorgh_shared.settings import StorageSettings, settings_or_exit
from simorgh_shared.storage.s3 import make_client

_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def create(settings: StorageSettings) -> bool:
    """Make the bucket; False where it was there already."""
    client = make_client(settings)
    try:
        client.create_bucket(Bucket=settings.s3_bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _THERE:
            raise
        return False
    finally:
        client.close()
    return True


if __name__ == "__main__":
    asked_for = settings_or_exit(StorageSettings, "making the bucket")
    made = create(asked_for)
    sys.stdout.write(f"bucket {asked_for.s3_bucket} {'is made' if made else 'is there'}\n")
