"""How a run's end is told beside its figures: why it ended early, and whether it had been better before."""

from collections.abc import Mapping
from typing import Any


def why_early(run: Mapping[str, Any], spec: Mapping[str, Any]) -> str | None:
    """Why a run that succeeded did not make all of its steps; None where it made them."""
    metrics = _metrics(run)
    step, total = (run.get("result") or {}).get("step"), run.get("totalSteps")
    if step is None or total is None or step >= total:
        return None
    minutes = spec.get("max_minutes")
    if minutes is not None and metrics.get("training_seconds", 0) >= minutes * 60:
        return f"It ended at step {step} of {total}: its {minutes:g} minutes (max_minutes) were over."
    patience = spec.get("early_stopping_patience")
    if patience is not None:
        lowest = metrics.get("lowest_eval_step")
        return (
            f"It ended early at step {step} of {total}:"
            f" {patience} held-out losses in a row were not below step {lowest}'s."
        )
    return None


def was_better(run: Mapping[str, Any], spec: Mapping[str, Any]) -> str | None:
    """That the kept weights are not the ones of the lowest held-out loss; None where they are."""
    metrics = _metrics(run)
    lowest, last = metrics.get("lowest_eval_loss_per_char"), metrics.get("eval_loss_per_char")
    if spec.get("keep") == "best" or lowest is None or last is None or last <= lowest:
        return None
    return (
        f"Its held-out loss was lower at step {metrics.get('lowest_eval_step')}:"
        f" {lowest:.3f} nats a character, {last:.3f} at the end."
        " The last weights are the model; keep=best keeps those of the lowest loss."
    )


def _metrics(run: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (run.get("result") or {}).get("metrics") or {}
    return found
