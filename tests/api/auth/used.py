"""What a project has used, as its rows would say after workers were there."""

import hashlib
import json

import sqlalchemy as sa

from tests.support.gateway import Account


def store(owner: sa.Engine, account: Account, job_id: str, checkpoint: dict[str, int], model: dict[str, int]) -> None:
    """A checkpoint and a model of these files; files of one name have one content."""
    names = {"project_id": account.project_id, "job_id": job_id}
    with owner.begin() as connection:
        _manifest(connection, "checkpoint", job_id, checkpoint)
        _manifest(connection, "model", job_id, model)
        for statement in (
            """
            INSERT INTO checkpoints (id, job_id, attempt, step, reason, manifest_id)
            VALUES ('ckpt-' || :job_id, :job_id, 1, 5, 'save', 'checkpoint-' || :job_id)
            """,
            "INSERT INTO models (id, project_id, name) VALUES ('model-' || :job_id, :project_id, 'm')",
            """
            INSERT INTO model_versions (id, model_id, version, kind, format, manifest_id, bytes)
            VALUES ('v-' || :job_id, 'model-' || :job_id, 1, 'base', 'safetensors', 'model-' || :job_id, 1030)
            """,
        ):
            connection.execute(sa.text(statement), names)


def _manifest(connection: sa.Connection, kind: str, job_id: str, files: dict[str, int]) -> None:
    manifest = {"id": f"{kind}-{job_id}", "kind": kind}
    connection.execute(sa.text("INSERT INTO manifests (id, kind) VALUES (:id, :kind)"), manifest)
    for name, size in files.items():
        digest = hashlib.sha256(f"{name}-{job_id}".encode()).hexdigest()
        blob = {"sha256": digest, "bytes": size, "id": manifest["id"], "path": name}
        for statement in (
            "INSERT INTO blobs (sha256, key, bytes) VALUES (:sha256, :sha256, :bytes) ON CONFLICT DO NOTHING",
            "INSERT INTO manifest_entries (manifest_id, path, sha256, bytes) VALUES (:id, :path, :sha256, :bytes)",
        ):
            connection.execute(sa.text(statement), blob)


def attempt(
    owner: sa.Engine, account: Account, number: int, num_devices: int, began_s: float, ended_s: float | None
) -> None:
    """An attempt that a worker made; its times are so many seconds ago."""
    with owner.begin() as connection:
        connection.execute(
            sa.text(
                """
                INSERT INTO jobs (id, project_id, type, queue, spec, fair_key, status)
                VALUES ('job-of-' || :project_id, :project_id, 'train', 'train.gpu', '{}', 0, 'stopped')
                ON CONFLICT DO NOTHING
                """
            ),
            {"project_id": account.project_id},
        )
        connection.execute(
            sa.text(
                """
                INSERT INTO attempts (job_id, attempt, worker, lease_token, devices, started_at, ended_at)
                VALUES ('job-of-' || :project_id, :attempt, 'w', :project_id || :attempt, CAST(:devices AS jsonb),
                        now() - make_interval(secs => :began_s), now() - make_interval(secs => :ended_s))
                """
            ),
            {
                "project_id": account.project_id,
                "attempt": number,
                "devices": json.dumps([f"gpu{n}" for n in range(num_devices)]),
                "began_s": began_s,
                "ended_s": ended_s,
            },
        )
