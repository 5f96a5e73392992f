"""Walks from a model version to all that it was made from, and to all that was made from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases.lineage import nodes
from simorgh_shared.db.models import Attempt, Checkpoint, Dataset, DatasetVersion, Job, JobEvent, Model, ModelVersion
from simorgh_shared.db.repositories import models as repository
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.jobs import JobType
from simorgh_shared.schemas.lineage import LineageEdge, LineageNode, LineageView, Relation

MAX_NODES = 2_000


def find(session: Session, project_id: str, name: str) -> str:
    """The version that a name means: a version's id or a model's, also of a deleted one, or the name of a live one,
    or `model@alias`.

    Raises: NotFoundError.
    """
    if "@" in name:
        return repository.resolve(session, project_id, name)[1].id
    found = session.scalar(
        sa.select(ModelVersion.id)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(Model.project_id == project_id)
        .where(
            sa.or_(ModelVersion.id == name, Model.id == name, sa.and_(Model.name == name, Model.deleted_at.is_(None)))
        )
        .order_by(ModelVersion.version.desc())
        .limit(1)
    )
    if found is None:
        raise NotFoundError("model_not_found", model=name)
    return found


def whole(session: Session, project_id: str, version_id: str) -> LineageView:
    """Both directions."""
    walk = _Walk(session, project_id)
    walk.up([version_id])
    walk.down([version_id])
    return walk.view(version_id)


def upstream(session: Session, project_id: str, version_id: str) -> LineageView:
    """What the version was made from: it never changes."""
    walk = _Walk(session, project_id)
    walk.up([version_id])
    return walk.view(version_id)


@dataclass
class _Walk:
    session: Session
    project_id: str
    nodes: dict[str, LineageNode] = field(default_factory=dict)
    edges: dict[tuple[str, str, Relation], None] = field(default_factory=dict)
    truncated: bool = False

    def view(self, version_id: str) -> LineageView:
        """What was found, in an order that depends on nothing else."""
        edges = [LineageEdge(source=source, target=target, relation=how) for source, target, how in sorted(self.edges)]
        found = [self.nodes[node_id] for node_id in sorted(self.nodes)]
        return LineageView(version_id=version_id, nodes=found, edges=edges, truncated=self.truncated)

    def up(self, version_ids: Iterable[str]) -> None:
        """Add versions and all that they were made from."""
        waiting = [one for one in dict.fromkeys(version_ids) if one not in self.nodes]
        while waiting:
            job_ids = self._versions(waiting)
            waiting = []
            while job_ids:
                bases, job_ids = self._jobs(job_ids)
                waiting += [base for base in bases if base not in self.nodes and base not in waiting]
            if self._is_full():
                return

    def down(self, version_ids: Sequence[str]) -> None:
        """Add what was made from versions, across all generations."""
        seen = set(version_ids)
        waiting = list(version_ids)
        while waiting and not self._is_full():
            rows = self.session.scalars(
                sa.select(Job)
                .where(Job.project_id == self.project_id, Job.spec["base_version_id"].as_string().in_(waiting))
                .order_by(Job.id)
                .limit(MAX_NODES)
            ).all()
            for job in rows:
                self.nodes.setdefault(job.id, nodes.job(job, self._attempts([job.id]).get(job.id, [])))
                self._edge(job.spec["base_version_id"], job.id, _became(job))
            made = self.session.scalars(
                sa.select(ModelVersion.id).where(ModelVersion.job_id.in_([job.id for job in rows]))
            ).all()
            waiting = [version_id for version_id in made if version_id not in seen]
            seen.update(waiting)
            self._versions(waiting)

    def _versions(self, version_ids: Sequence[str]) -> list[str]:
        """Add versions; returns the jobs that made them and are not here yet."""
        rows = self.session.execute(
            sa.select(Model, ModelVersion)
            .join(ModelVersion, ModelVersion.model_id == Model.id)
            .where(Model.project_id == self.project_id, ModelVersion.id.in_(version_ids))
        ).all()
        jobs: list[str] = []
        for model, version in rows:
            hashes = nodes.hashes(self.session, version)
            self._add(nodes.version(model, version, hashes))
            if (tokenizer := nodes.tokenizer(hashes)) is not None:
                self._add(tokenizer)
                self._edge(tokenizer.id, version.id, "part_of")
            if (upload := nodes.upload(version)) is not None:
                self._add(upload)
                self._edge(upload.id, version.id, "sent")
            if version.job_id is not None:
                self._edge(version.job_id, version.id, "made")
                self._tokenizer_of_job(version, tokenizer)
                jobs.append(version.job_id)
        return [job_id for job_id in jobs if job_id not in self.nodes]

    def _tokenizer_of_job(self, version: ModelVersion, tokenizer: LineageNode | None) -> None:
        """A run from nothing trains its tokenizer on its rows; any other takes it over."""
        if tokenizer is None or version.job_id is None:
            return
        self._edge(tokenizer.id, version.job_id, "used")
        base, checkpoint = version.lineage.get("base_version_id"), version.lineage.get("init_checkpoint_id")
        dataset = version.lineage.get("dataset_version_id")
        if base is None and checkpoint is None and dataset is not None:
            self._edge(dataset, tokenizer.id, "trained")

    def _jobs(self, job_ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Add jobs with what they read and saved; returns the versions and the jobs that they started from."""
        rows = self.session.scalars(
            sa.select(Job).where(Job.project_id == self.project_id, Job.id.in_(job_ids)).order_by(Job.id)
        ).all()
        attempts = self._attempts([job.id for job in rows])
        bases, datasets = [], []
        checkpoints: dict[str, str | None] = {}
        for job in rows:
            self._add(nodes.job(job, attempts.get(job.id, [])))
            if (dataset_id := job.spec.get("dataset_version_id")) is not None:
                datasets.append(dataset_id)
                self._edge(dataset_id, job.id, "used")
            if (base_id := job.spec.get("base_version_id")) is not None:
                bases.append(base_id)
                self._edge(base_id, job.id, _became(job))
            for attempt in attempts.get(job.id, []):
                if attempt.checkpoint_in not in (None, job.init_checkpoint_id):
                    checkpoints[attempt.checkpoint_in] = job.id
            if job.init_checkpoint_id is not None:
                checkpoints[job.init_checkpoint_id] = None
                self._edge(job.init_checkpoint_id, job.id, "started")
            if job.checkpoint_id is not None:
                checkpoints[job.checkpoint_id] = job.id
                self._lead_to(job)
        self._datasets(datasets)
        owners = self._checkpoints(checkpoints)
        return bases, [owner for owner in owners if owner not in self.nodes]

    def _lead_to(self, job: Job) -> None:
        """The last checkpoint before the model: the steps after it were never saved by themselves."""
        version_id = (job.result or {}).get("model_version_id")
        if version_id is not None and job.checkpoint_id is not None:
            self._edge(job.checkpoint_id, version_id, "led_to")

    def _attempts(self, job_ids: Sequence[str]) -> dict[str, list[Attempt]]:
        found: dict[str, list[Attempt]] = {}
        query = sa.select(Attempt).where(Attempt.job_id.in_(job_ids)).order_by(Attempt.job_id, Attempt.attempt)
        for attempt in self.session.scalars(query):
            found.setdefault(attempt.job_id, []).append(attempt)
        return found

    def _datasets(self, version_ids: Sequence[str]) -> None:
        rows = self.session.execute(
            sa.select(Dataset, DatasetVersion)
            .join(DatasetVersion, DatasetVersion.dataset_id == Dataset.id)
            .where(Dataset.project_id == self.project_id, DatasetVersion.id.in_(version_ids))
        )
        for dataset, version in rows:
            self._add(nodes.dataset(dataset, version))

    def _checkpoints(self, wanted: Mapping[str, str | None]) -> list[str]:
        """Add checkpoints, with the job of each where that is known, as that job told of them: this outlives their
        files. Returns the jobs."""
        there = {
            row.id: row.job_id
            for row in self.session.execute(
                sa.select(Checkpoint.id, Checkpoint.job_id).where(Checkpoint.id.in_(wanted))
            )
        }
        owners = {there.get(checkpoint_id) or known for checkpoint_id, known in wanted.items()} - {None}
        told = self.session.scalars(
            sa.select(JobEvent)
            .join(Job, Job.id == JobEvent.job_id)
            .where(Job.project_id == self.project_id, JobEvent.type == "checkpoint", JobEvent.job_id.in_(owners))
            .where(JobEvent.payload["checkpoint_id"].as_string().in_(wanted))
            .order_by(JobEvent.id)
        )
        found = []
        for event in told:
            node = nodes.checkpoint(event, event.payload["checkpoint_id"] not in there)
            self._add(node)
            self._edge(event.job_id, node.id, "saved")
            found.append(event.job_id)
        return list(dict.fromkeys(found))

    def _add(self, node: LineageNode) -> None:
        self.nodes[node.id] = node

    def _edge(self, source: str, target: str, relation: Relation) -> None:
        self.edges[(source, target, relation)] = None

    def _is_full(self) -> bool:
        self.truncated = self.truncated or len(self.nodes) >= MAX_NODES
        return self.truncated


def _became(job: Job) -> Relation:
    """What a job did with the model that it began from."""
    match job.type:
        case JobType.OPTIMIZE:
            return "optimised"
        case JobType.CONVERT_MODEL:
            return "converted"
        case _:
            return "trained_further"
