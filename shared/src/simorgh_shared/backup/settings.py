"""What a backup and a restore are told by variables."""

from pydantic import SecretStr

from simorgh_shared.settings import HttpUrl, MigrationSettings, StorageSettings


class BackupSettings(MigrationSettings, StorageSettings):
    """Access to the database as its owner, to the platform's storage, and to an S3 bucket that keeps backups."""

    manifest_key: SecretStr | None = None
    """Signs backups, and tells at a restore whether it was this key that did."""
    backup_s3_endpoint_url: HttpUrl | None = None
    """Where `s3://…` backups lie; each that is left out is that of the platform's storage."""
    backup_s3_access_key_id: str | None = None
    """Of an identity that may write where backups lie."""
    backup_s3_secret_access_key: SecretStr | None = None
    """Of the same identity."""
    backup_s3_region: str | None = None
    """Of the storage that keeps backups."""

    @property
    def backup_storage(self) -> StorageSettings:
        """Access to the storage that keeps backups."""
        elsewhere = self.backup_s3_endpoint_url is not None
        return StorageSettings.model_construct(
            s3_endpoint_url=self.backup_s3_endpoint_url if elsewhere else self.s3_endpoint_url,
            s3_access_key_id=self.backup_s3_access_key_id or self.s3_access_key_id,
            s3_secret_access_key=self.backup_s3_secret_access_key or self.s3_secret_access_key,
            s3_region=self.backup_s3_region or self.s3_region,
        )
