"""The training loop: steps, figures, held-out losses, checkpoints, and leaving when asked."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from simorgh_shared.child.control import Control
from simorgh_shared.child.events import EventLog
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.schemas.training import Keep, TrainSpec
from simorgh_trainer.training.checkpoint import TrainingState
from simorgh_trainer.training.evaluate import HeldOut, evaluate
from simorgh_trainer.training.feed import Feed
from simorgh_trainer.training.hardware import Hardware, memory_bytes
from simorgh_trainer.training.model import Llama
from simorgh_trainer.training.optim import learning_rate
from simorgh_trainer.training.packing import Batch, Samples
from simorgh_trainer.training.passes import make_passes
from simorgh_trainer.training.saving import CheckpointSaver

_PACE_WEIGHT = 0.1
"""Share of the newest step in the smoothed step time that the remaining time is told by."""


class CancelledError(Exception):
    """The run is to end at once and to keep nothing."""


@dataclass(frozen=True)
class Run:
    """The parts of a run that do not change as it trains."""

    spec: TrainSpec
    model: Llama
    samples: Samples
    held_out: HeldOut | None
    hardware: Hardware
    total_steps: int
    flops_limit: float
    """Operations a second of a bare matrix product, measured at the start."""
    saver: CheckpointSaver
    begins_trained: bool = False
    """Whether the model could do something before the first step."""


def train(run: Run, state: TrainingState, events: EventLog, read_control: Callable[[], Control]) -> str | None:
    """Train to the end; the reason for leaving where that was asked before it.

    Raises: InvalidInputError `nan_loss`; CancelledError.
    """
    spec, progress = run.spec, state.progress
    run.model.train()
    feed = Feed(spec, run.samples, run.hardware, state)
    passes = make_passes(run.model, state.weights, is_replayed=feed.has_one_shape)
    count_flops = flop_count(run.model)
    if progress.step == 0 and run.begins_trained and run.held_out is not None:
        _hold_out(run, state, run.held_out, events)  # what training has to better; it is no training time
    pace_s: float | None = None
    window_begun, window_tokens, window_flops = time.monotonic(), 0, 0.0
    while not _is_done(run, state):
        run.saver.check()
        control = read_control()
        if control.is_cancelled:
            raise CancelledError
        if control.checkpoint_request > progress.checkpoint_request:
            progress.checkpoint_request = control.checkpoint_request
            run.saver.save("requested")
        if control.leave_reason is not None:
            run.saver.save("leaving")
            return control.leave_reason

        begun = time.monotonic()
        rate = learning_rate(spec, progress.step, run.total_steps, progress.elapsed_s)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        batches = feed.take()
        labels = sum(batch.num_labels for batch in batches)
        told = []
        for batch in batches:
            told.append(passes(batch, labels))
            state.weights.take_gradient()
        told.append(state.weights.clip(spec.gradient_clipping))
        state.optimizer.step()
        state.weights.publish()
        feed.prepare()
        # The one moment of a step at which a GPU is waited for.
        *each_nats, gradient_norm = torch.stack(told).tolist()
        nats = sum(each_nats)
        _refuse_not_finite(nats, gradient_norm, progress.step + 1, rate)

        progress.step += 1
        progress.window_nats += nats
        progress.window_labels += labels
        progress.trained_tokens += sum(batch.num_tokens for batch in batches)
        window_tokens += sum(batch.num_tokens for batch in batches)
        window_flops += sum(map(count_flops, batches))
        step_s = time.monotonic() - begun
        pace_s = step_s if pace_s is None else (1 - _PACE_WEIGHT) * pace_s + _PACE_WEIGHT * step_s
        progress.elapsed_s += step_s
        if progress.step == 1 or progress.step % spec.logging_steps == 0 or _is_done(run, state):
            progress.last_loss = progress.window_nats / max(1, progress.window_labels)
            now = time.monotonic()
            seconds = max(1e-9, now - window_begun)
            figures = {
                "loss": progress.last_loss,
                "learning_rate": rate,
                "grad_norm": gradient_norm,
                "tokens_per_s": window_tokens / seconds,
                "flop_utilisation": window_flops / seconds / run.flops_limit,
                "memory_bytes": memory_bytes(run.hardware),
                "epoch": progress.epoch + progress.next_row / state.plan.num_rows,
                "eta_s": _remaining_s(run, state, pace_s),
            }
            events.metrics(progress.step, run.total_steps, figures)
            progress.window_nats, progress.window_labels = 0.0, 0
            window_begun, window_tokens, window_flops = now, 0, 0.0
        if run.held_out is not None and (progress.step % spec.eval_steps == 0 or _is_done(run, state)):
            begun = time.monotonic()
            _hold_out(run, state, run.held_out, events)
            progress.elapsed_s += time.monotonic() - begun
            window_begun += time.monotonic() - begun
        if progress.step % spec.save_steps == 0 and not _is_done(run, state):
            begun = time.monotonic()
            run.saver.save("interval")
            window_begun += time.monotonic() - begun
    return None


def _is_done(run: Run, state: TrainingState) -> bool:
    """By the state alone, so that a resumed run ends where the whole one does."""
    spec, progress = run.spec, state.progress
    if progress.step >= run.total_steps:
        return True
    if spec.max_minutes is not None and progress.elapsed_s >= spec.max_minutes * 60:
        return True
    patience = spec.early_stopping_patience
    return patience is not None and progress.evaluations_without_gain >= patience


def _refuse_not_finite(nats: float, gradient_norm: float, step: int, rate: float) -> None:
    for value in (nats, gradient_norm):
        if not math.isfinite(value):
            raise InvalidInputError("nan_loss", value=str(value), step=step, learning_rate=rate)


def flop_count(model: Llama) -> Callable[[Batch], float]:
    """Operations of the model for a forward and a backward pass: padding and dropout's draws are not counted.

    A product costs 2 a weight forward, 2 towards its input and, where it is learnt, 2 towards the weight.
    """
    shape = model.shape
    products = [parameter for parameter in model.blocks.parameters() if parameter.dim() == 2]
    a_token = sum(parameter.numel() * (6 if parameter.requires_grad else 4) for parameter in products)
    is_head_learnt = (model.embedding if model.head is None else model.head).weight.requires_grad
    a_label = shape.vocab_size * shape.hidden_size * (6 if is_head_learnt else 4)
    a_pair = 12 * shape.num_layers * shape.num_heads * shape.head_size
    return lambda batch: float(a_token * batch.num_tokens + a_label * batch.num_labels + a_pair * batch.attended_pairs)


def _remaining_s(run: Run, state: TrainingState, pace_s: float) -> float:
    by_steps = (run.total_steps - state.progress.step) * pace_s
    if run.spec.max_minutes is None:
        return by_steps
    return max(0.0, min(by_steps, run.spec.max_minutes * 60 - state.progress.elapsed_s))


def _hold_out(run: Run, state: TrainingState, held_out: HeldOut, events: EventLog) -> None:
    progress = state.progress
    if progress.last_evaluation_step == progress.step:
        return
    figures = evaluate(run.model, held_out, run.spec.sequence_length, run.hardware)
    events.metrics(progress.step, run.total_steps, figures)
    progress.last_evaluation, progress.last_evaluation_step = figures, progress.step
    if progress.first_per_char is None:
        progress.first_per_char = figures["eval_loss_per_char"]
    if progress.lowest_per_char is None or figures["eval_loss_per_char"] < progress.lowest_per_char:
        progress.lowest_per_char, progress.lowest_step = figures["eval_loss_per_char"], progress.step
        progress.evaluations_without_gain = 0
        if run.spec.keep is Keep.BEST:
            state.best = state.weights.master.to("cpu", copy=True)
    else:
        progress.evaluations_without_gain += 1
