"""What is measured of a model, in this process (R-OPT-2)."""

from pathlib import Path

import pytest

from simorgh_trainer.optimize.measuring import measure
from simorgh_trainer.optimize.runtimes import TransformersRuntime, load_model
from tests.trainer_worker.training.foreign import make_model

PROMPTS = [list(range(3, 3 + length)) for length in (9, 1, 30, 4, 17, 2)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("source") / "model", is_tied=False)


def greedy(runtime: TransformersRuntime, prompt: list[int], num_tokens: int) -> list[int]:
    """Everything is read again for each token."""
    ids = list(prompt)
    for _ in range(num_tokens):
        ids.append(int(runtime.step(ids, None)[0][-1].argmax()))
    return ids[len(prompt) :]


def test_answers_of_a_batch_are_those_given_alone(source: Path) -> None:
    """R-OPT-2: prompts of any lengths, each at its own positions."""
    runtime = TransformersRuntime(load_model(source), 1)
    assert runtime.answer_together(PROMPTS, 8) == [greedy(runtime, prompt, 8) for prompt in PROMPTS]


def test_every_prompt_is_answered_in_its_order(source: Path) -> None:
    """R-OPT-2: those that were timed alone, and the rest in batches."""
    prompts = [PROMPTS[number % len(PROMPTS)] for number in range(40)]
    request = {"runtime": "transformers", "folder": str(source), "threads": 1, "max_tokens": 4}
    request |= {"samples": [([3, 4, 5, 6], [4, 5, 6, 7])], "prompts": prompts, "answers_within_s": 600}
    found = measure(request)
    runtime = TransformersRuntime(load_model(source), 1)
    assert found["answers"] == [greedy(runtime, prompt, 4) for prompt in prompts]
    assert found["num_tokens"] == 4


def test_time_that_is_over_ends_it(source: Path) -> None:
    """R-OPT-2: with the answers up to there, at least one."""
    request = {"runtime": "transformers", "folder": str(source), "threads": 1, "max_tokens": 4}
    request |= {"samples": [([3, 4, 5, 6], [4, 5, 6, 7])], "prompts": PROMPTS * 4, "answers_within_s": 0}
    assert len(measure(request)["answers"]) == 1
