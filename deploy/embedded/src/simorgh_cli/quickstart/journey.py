"""Owns the steps of the quick start: sample data, training, figures, answers. Over HTTP alone."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from simorgh_cli.api import chats, runs
from simorgh_cli.api.connection import Connection
from simorgh_cli.terminal.progress import Display, Figures
from simorgh_shared.datasets.rows import QaRow
from simorgh_shared.datasets.sample import SampleDataset
from simorgh_shared.datasets.trigram import CharTrigram, row_text
from simorgh_shared.domain.errors import UnavailableError

# A few million parameters, dropout because fewer than 2,000 pairs are seen many times, and an end by time so
# that a slow machine still ends well trained.
TRAINING: dict[str, Any] = {
    "model": "simorgh-4m",
    "method": "pretrain",
    "name": "quickstart",
    "vocab_size": 1024,
    "batch_size": 8,
    "sequence_length": 128,
    "learning_rate": 1e-3,
    "dropout": 0.1,
    "weight_decay": 0.1,
    "epochs": 24,
    "max_minutes": 3.3,
    "eval_steps": 20,  # the lowest held-out loss comes early and does not last
    "logging_steps": 10,
    "save_steps": 200,
}
QUESTIONS = ("سلام", "حالت چطوره؟", "اسم تو چیست؟", "هوش مصنوعی چیست؟")
NUM_RECALLED = 50
_SEED = 7


@dataclass(frozen=True)
class Trained:
    """What the run came to."""

    run_id: str
    model: str
    figures: Figures
    took_s: float


def train(connection: Connection, dataset_id: str, display: Display, say: Callable[[str], None]) -> Trained:
    """Start the run, follow it to its end and find its model.

    Raises: UnavailableError when the run does not succeed.
    """
    started_at = time.monotonic()
    run_id = str(runs.start(connection, TRAINING | {"dataset": dataset_id})["runId"])
    say(f"Training run {run_id} is queued.")
    figures = Figures()
    with display:
        for event in runs.follow(connection, run_id):
            if event.name == "metrics":
                figures.take(event.data)
                display.show(figures)
    ended = runs.get(connection, run_id)
    if ended["phase"] != "succeeded":
        raise UnavailableError("quickstart_failed", phase=str(ended["phase"]), reason=_reason(ended))
    return Trained(run_id, str(ended["modelId"]), figures, time.monotonic() - started_at)


def trigram_loss(data: SampleDataset) -> float:
    """Nats per character on the test split, of a Witten-Bell character trigram of the train split."""
    model = CharTrigram.fit(map(row_text, read_rows(data.train_path)))
    return model.nats_per_char(map(row_text, read_rows(data.test_path)))


def count_recalled(connection: Connection, model: str, data: SampleDataset) -> int:
    """Of 50 train questions drawn by seed: how many are answered greedily with one of their own answers."""
    answers: dict[str, set[str]] = {}
    for row in read_rows(data.train_path):
        answers.setdefault(row.question, set()).add(row.answer.strip())
    drawn = random.Random(_SEED).sample(sorted(answers), NUM_RECALLED)  # noqa: S311 (a draw, not a secret)
    return sum(chats.complete(connection, model, question).strip() in answers[question] for question in drawn)


def read_rows(path: Path) -> list[QaRow]:
    """The rows of a sample file."""
    return [msgspec.json.decode(line, type=QaRow) for line in path.read_bytes().splitlines()]


def _reason(status: dict[str, Any]) -> str:
    error = status.get("error") or "no reason was given"
    return str(error.get("message") or error.get("error") or error) if isinstance(error, dict) else str(error)
