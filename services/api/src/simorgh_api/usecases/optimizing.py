"""Queues optimisations, refuses before that what cannot be done, and finds their reports (R-OPT-1, R-OPT-2).

No session is open while the model's configuration is read from storage.
"""

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import jobs, models
from simorgh_api.usecases.model_uploads import model_name
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.training import newest_version
from simorgh_shared.db.models import Dataset, DatasetVersion, Model, ModelVersion
from simorgh_shared.domain.errors import ConflictError, InvalidInputError
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.schemas.optimization import OptimizationBody, OptimizationReport, OptimizationView
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore, StoredBlob

QUEUE = Queue.OPTIMIZE_CPU
_ARCHITECTURE = "LlamaForCausalLM"
_MOST_CONFIG_BYTES = 1 << 20
_MEASURABLE = ("text", "qa", "messages")
_MOST_GENERATIONS = 32


@dataclass(frozen=True)
class Source:
    """The version that is to be optimised."""

    version_id: str
    name: str
    kind: str
    format: str
    config: StoredBlob | None


def find_source(session: Session, project_id: str, model: str) -> Source:
    """What a name means.

    Raises: NotFoundError.
    """
    version = session.get_one(ModelVersion, models.resolve(session, project_id, model))
    files = {entry.path: entry.blob for entry in manifests.entries(session, version.manifest_id or "")}
    config = files.get("base/config.json" if version.kind == "adapter" else "config.json")
    return Source(version.id, session.get_one(Model, version.model_id).name, version.kind, version.format, config)


def require_fit(blobs: BlobStore, source: Source, wanted: OptimizationBody) -> None:
    """Look whether the method can be used on the model.

    Raises: InvalidInputError `optimization_unfit` with the reason.
    """
    if source.format != "safetensors":
        raise _unfit(f"it is kept as {source.format}, and safetensors is needed")
    if wanted.method == "merge" and source.kind != "adapter":
        raise _unfit("it is no adapter, and merge joins an adapter with its base")
    if wanted.method != "merge" and source.kind == "adapter":
        raise _unfit("it is an adapter. Merge it with its base first")
    if source.config is None:
        raise _unfit("it lies without its base" if source.kind == "adapter" else "it has no config.json")
    config = _config(blobs, source.config)
    names = config.get("architectures")
    if names != [_ARCHITECTURE]:
        found = names[0] if isinstance(names, list) and names else "unknown"
        raise _unfit(f"its architecture is {found}, and {_ARCHITECTURE} is the one that can be optimised so far")
    if config.get("quantization_config"):
        raise _unfit("its weights are quantised already")
    rope = config.get("rope_parameters") or {}
    is_scaled = bool(config.get("rope_scaling")) or rope.get("rope_type", "default") != "default"
    has_biases = bool(config.get("attention_bias") or config.get("mlp_bias"))
    if wanted.method == "prune-structured" and has_biases:
        raise _unfit("it has biases, which structured pruning does not cut here")
    if wanted.method == "gguf" and (is_scaled or has_biases):
        raise _unfit("it scales its positions or has biases, which are not written to GGUF here")


def queue(session: Session, who: Principal, source: Source, wanted: OptimizationBody) -> str:
    """The id of the job, everything that it names pinned to a version.

    Raises: NotFoundError; InvalidInputError; LimitedError.
    """
    dataset_version_id = _dataset(session, who.project_id, source, wanted.dataset)
    spec = wanted.model_dump(mode="json") | {
        "base_version_id": source.version_id,
        "dataset_version_id": dataset_version_id,
        "recovery": _recovery(session, who.project_id, wanted, dataset_version_id),
        "name": model_name(wanted.name or f"{source.name}-{_suffix(wanted)}"),
    }
    name = f"{source.name}: {_suffix(wanted)}"
    job = NewJob(who.project_id, JobType.OPTIMIZE, QUEUE, spec, created_by=who.user_id, name=name)
    return enqueue(session, job)


def queue_check(session: Session, who: Principal, job_id: str) -> str:
    """The id of a job that measures both forms again, on the same rows, and makes nothing.

    Raises: NotFoundError, ConflictError while there is no report; LimitedError.
    """
    found = view(session, who.project_id, job_id)
    if found.check_of is not None:
        return queue_check(session, who, found.check_of)
    report = require_report(found)
    spec = found.job.spec | {
        "check_of": found.job.id,
        "made_version_id": found.model_version_id,
        "prompts": report.agreement.prompts,
    }
    job = NewJob(
        who.project_id, JobType.OPTIMIZE, QUEUE, spec, created_by=who.user_id, name=f"{found.job.name}, measured again"
    )
    return enqueue(session, job)


def view(session: Session, project_id: str, job_id: str) -> OptimizationView:
    """An optimisation as far as it has come.

    Raises: NotFoundError.
    """
    return view_of(jobs.job(session, project_id, job_id, JobType.OPTIMIZE))


def view_of(job: JobView) -> OptimizationView:
    """The job with its report, which is typed here."""
    result: dict[str, Any] = job.result or {}
    found = result.get("report")
    report = OptimizationReport.model_validate(found) if found is not None else None
    rest = {name: value for name, value in result.items() if name not in ("report", "differences")}
    check_of = job.spec.get("check_of")
    return OptimizationView(
        job=job.model_copy(update={"result": rest}),
        model_id=result.get("model_id"),
        model_name=result.get("model_name"),
        model_version_id=result.get("model_version_id"),
        version=result.get("version"),
        promotable=report.gate.passed if report is not None and check_of is None else None,
        report=report,
        check_of=check_of,
        differences=result.get("differences"),
    )


def require_report(found: OptimizationView) -> OptimizationReport:
    """Raises: ConflictError while there is none."""
    if found.report is None:
        raise ConflictError("optimization_not_ready", job_id=found.job.id, status=found.job.status)
    return found.report


def find_fit_source(
    sessions: sessionmaker[Session], blobs: BlobStore, project_id: str, wanted: OptimizationBody
) -> Source:
    """The version that the method can be used on.

    Raises: NotFoundError; InvalidInputError.
    """
    with sessions() as session:
        source = find_source(session, project_id, wanted.model)
    require_fit(blobs, source, wanted)
    return source


def _recovery(
    session: Session, project_id: str, wanted: OptimizationBody, dataset_version_id: str
) -> dict[str, Any] | None:
    """What was asked for, with the version that is learnt from."""
    if wanted.recovery is None:
        return None
    named = wanted.recovery.dataset
    version_id = dataset_version_id if named is None else newest_version(session, project_id, named)
    _require_rows(session, version_id)
    return wanted.recovery.model_dump(mode="json") | {"dataset_version_id": version_id}


def _require_rows(session: Session, version_id: str) -> None:
    """Raises: InvalidInputError for rows that no text model is measured on."""
    version = session.get_one(DatasetVersion, version_id)
    if version.row_schema not in _MEASURABLE:
        raise InvalidInputError("optimization_kind", dataset_id=version.dataset_id, found=version.row_schema)


def _dataset(session: Session, project_id: str, source: Source, named: str | None) -> str:
    """The version whose held-out rows are measured."""
    if named is not None:
        version_id: str | None = newest_version(session, project_id, named)
    else:
        version_id = _trained_on(session, project_id, source.version_id)
    if version_id is None:
        raise InvalidInputError("optimization_no_dataset", model=source.name)
    _require_rows(session, version_id)
    return version_id


def _trained_on(session: Session, project_id: str, version_id: str | None) -> str | None:
    """The dataset of the version's own run, else that of what it was made from."""
    for _ in range(_MOST_GENERATIONS):
        version = session.get(ModelVersion, version_id) if version_id is not None else None
        if version is None:
            return None
        found = session.scalar(
            sa.select(DatasetVersion.id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(DatasetVersion.id == version.lineage.get("dataset_version_id"))
            .where(Dataset.project_id == project_id, Dataset.deleted_at.is_(None))
        )
        if found is not None:
            return found
        version_id = version.lineage.get("base_version_id")
    return None


def _suffix(wanted: OptimizationBody) -> str:
    return f"gguf-{wanted.precision or 'f16'}" if wanted.method == "gguf" else wanted.method


def _config(blobs: BlobStore, blob: StoredBlob) -> dict[str, Any]:
    if blob.bytes > _MOST_CONFIG_BYTES:
        raise _unfit(f"its config.json has {blob.bytes} bytes, and {_MOST_CONFIG_BYTES} are the limit")
    try:
        config = json.loads(b"".join(blobs.read(blob)))
    except ValueError as error:
        raise _unfit("its config.json is not JSON") from error
    if not isinstance(config, dict):
        raise _unfit("its config.json is not an object")
    return config


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError("optimization_unfit", reason=reason)
