"""What a job used: its attempts, and their sum."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import jobs
from simorgh_shared.db.models import Attempt
from simorgh_shared.schemas.job_usage import AttemptUsage, Cost, EnergyPart, JobUsage, Usage


def job_usage(session: Session, project_id: str, job_id: str) -> JobUsage:
    """All attempts of a job, those that crashed too. Jobs that it made have their own.

    Raises: NotFoundError.
    """
    jobs.job(session, project_id, job_id)
    rows = session.scalars(sa.select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.attempt)).all()
    used = [None if row.usage is None else Usage.model_validate(row.usage) for row in rows]
    return JobUsage(
        job_id=job_id,
        total=_sum([one for one in used if one is not None]),
        complete=None not in used and all(row.ended_at is not None for row in rows),
        attempts=[
            AttemptUsage(
                attempt=row.attempt,
                worker=row.worker,
                outcome=row.outcome,
                started_at=row.started_at,
                ended_at=row.ended_at,
                usage=one,
            )
            for row, one in zip(rows, used, strict=True)
        ],
    )


def _sum(used: Sequence[Usage]) -> Usage | None:
    if not used:
        return None
    energy = _energy([part for one in used for part in one.energy])
    return Usage(
        wall_s=round(sum(one.wall_s for one in used), 3),
        cpu_seconds=round(sum(one.cpu_seconds for one in used), 3),
        devices=max(one.devices for one in used),
        device_seconds=round(sum(one.device_seconds for one in used), 3),
        energy=energy,
        energy_joules=round(sum(part.joules for part in energy), 3),
        estimate=any(part.estimate for part in energy),
        cost=_cost([one.cost for one in used]),
    )


def _energy(parts: Sequence[EnergyPart]) -> list[EnergyPart]:
    """Parts that are known in the same way, summed up."""
    found: dict[tuple[str, str, float | None], EnergyPart] = {}
    for part in parts:
        key = (part.of, part.method, part.watts_per_core)
        before = found[key].joules if key in found else 0.0
        found[key] = part.model_copy(update={"joules": round(before + part.joules, 3)})
    return list(found.values())


def _cost(costs: Sequence[Cost | None]) -> Cost | None:
    """None where one has none, or in another currency: half a sum would be taken for a whole one."""
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs) or len({cost.currency for cost in known}) != 1:
        return None
    energy = [cost.energy for cost in known]
    devices = [cost.devices for cost in known]
    return Cost(
        currency=known[0].currency,
        energy=None if None in energy else sum(one for one in energy if one is not None),
        devices=None if None in devices else sum(one for one in devices if one is not None),
        total=sum(cost.total for cost in known),
    )
