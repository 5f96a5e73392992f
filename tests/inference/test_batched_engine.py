"""The engine for GPUs, here on the processor: what it says of many at once is what the reference says of each."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from simorgh_inference.engine import batched_engine
from simorgh_inference.engine.batched_engine import BatchedEngine
from simorgh_inference.engine.protocol import GenerateRequest, Piece
from simorgh_inference.engine.recorded import Recorder
from simorgh_inference.engine.transformers_engine import TransformersEngine

_TEXTS = ("سلام", "thirty birds " * 20, "حال شما چطور است؟ 🐦‍🔥", "x", "one bird, " * 7)


def request(number: int, text: str, **fields: Any) -> GenerateRequest:
    """A greedy request, but for what the fields say."""
    asked: dict[str, Any] = {
        "op": "generate",
        "id": f"r{number}",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 24,
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 3,
        "stop": [],
        "cut_turns": False,
    }
    return GenerateRequest(**(asked | fields))  # type: ignore[typeddict-item]


def said(engine: Any, requests: Sequence[GenerateRequest], steps_between: int = 0) -> dict[str, str]:
    """The texts by request; the next one is asked after so many steps."""
    texts: dict[str, str] = {}

    def take(pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            texts[piece["id"]] = texts.get(piece["id"], "") + piece["text"]

    for one in requests:
        assert engine.add(one) is None
        for _ in range(steps_between):
            take(engine.step())
    while not engine.is_idle:
        take(engine.step())
    return texts


@pytest.fixture(scope="module")
def reference(model_folder: Path) -> TransformersEngine:
    return TransformersEngine(model_folder)


@pytest.fixture(params=["asked for", "recorded"])
def engine(request: pytest.FixtureRequest, model_folder: Path) -> Iterator[BatchedEngine]:
    """Both ways to make a step; here what is recorded is only written down, and computed anew."""
    made = BatchedEngine(model_folder, "cpu", "f32", 1 << 28)
    made._is_recorded = request.param == "recorded"
    yield made
    assert made.cache_use == 0.0


@pytest.mark.parametrize("steps_between", [0, 3])
def test_it_says_what_the_reference_says(
    engine: BatchedEngine, reference: TransformersEngine, steps_between: int
) -> None:
    """R-CHAT-3: prompts of all lengths, that come together or one after the other, and end at different times."""
    limits = itertools.cycle((24, 9, 40))
    requests = [request(at, text, max_tokens=next(limits)) for at, text in enumerate(_TEXTS * 2)]
    expected = {one["id"]: said(reference, [one])[one["id"]] for one in requests}
    assert said(engine, requests, steps_between) == expected


def test_all_are_answered_in_one_pass(engine: BatchedEngine) -> None:
    """A step is one forward pass, however many wait for its token."""
    for at, text in enumerate(_TEXTS):
        engine.add(request(at, text))
    first = engine.step()  # what a token takes in the cache is known after it
    calls: list[int] = []
    engine._model.register_forward_pre_hook(
        lambda _, __, given: calls.append(len(given["input_ids"])), with_kwargs=True
    )
    assert [piece["id"] for piece in first] == ["r0"]
    assert {piece["id"] for piece in engine.step()} == {f"r{at}" for at in range(5)}
    assert len(engine.step()) == 5
    assert calls == [1, 4, 8 if engine._is_recorded else 5]  # recordings are for powers of two
    for at in range(5):
        engine.cancel(f"r{at}")
    engine.step()


def test_what_cannot_be_recorded_is_asked_for(
    model_folder: Path, reference: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Recorder, "get", fail)
    engine = BatchedEngine(model_folder, "cpu", "f32", 1 << 28)
    engine._is_recorded = True
    one = request(0, "سلام")
    assert said(engine, [one]) == said(reference, [one])
    assert not engine._is_recorded


def test_an_answer_outgrows_its_recording(engine: BatchedEngine, reference: TransformersEngine) -> None:
    """Beyond 256 positions, beside a short one."""
    requests = [request(0, "سلام", max_tokens=300), request(1, "x", max_tokens=20)]
    expected = {one["id"]: said(reference, [one])[one["id"]] for one in requests}
    assert said(engine, requests) == expected


def test_a_seed_decides_beside_others(engine: BatchedEngine) -> None:
    """R-CHAT-1."""
    hot = {"temperature": 1.0, "top_p": 0.9}
    alone = said(engine, [request(0, "سلام", seed=11, **hot)])["r0"]
    seeds = (11, 12, 11)
    beside = said(engine, [request(at, "سلام", seed=seed, **hot) for at, seed in enumerate(seeds)], 1)
    assert beside["r0"] == beside["r2"] == alone
    assert beside["r1"] != alone


def test_a_cancelled_one_leaves_and_the_others_go_on(engine: BatchedEngine, reference: TransformersEngine) -> None:
    requests = [request(at, text) for at, text in enumerate(_TEXTS)]
    for one in requests:
        engine.add(one)
    texts: dict[str, str] = {}
    for at in itertools.count():
        for piece in engine.step():
            texts[piece["id"]] = texts.get(piece["id"], "") + piece["text"]
        if at == 4:
            engine.cancel("r1")  # the longest: what was filled up for it goes
        if engine.is_idle:
            break
    for one in requests:
        expected = said(reference, [one])[one["id"]]
        assert expected.startswith(texts[one["id"]]) if one["id"] == "r1" else texts[one["id"]] == expected


def test_those_without_room_wait(model_folder: Path) -> None:
    """Room for two: the third begins when one has ended."""
    engine = BatchedEngine(model_folder, "cpu", "f32", 1 << 20)
    said(engine, [request(0, "x", max_tokens=1)])
    a_token = engine._bytes_a_token
    assert a_token == 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, their size, float32
    length = len(engine._intake._prompts.encode([{"role": "user", "content": "x"}])) + 24
    engine._cache_bytes = 2 * length * a_token
    for at in range(3):
        engine.add(request(at, "x"))
    assert len(engine.step()) == 2
    assert engine.cache_use == 1.0
    ids = [piece["id"] for _ in range(60) for piece in engine.step()]
    assert ids.index("r2") >= 2 * 23
    assert engine.is_idle


def test_how_likely_its_tokens_were(engine: BatchedEngine, reference: TransformersEngine) -> None:
    asked = [request(at, text, logprobs=3, max_tokens=4) for at, text in enumerate(_TEXTS)]
    for one in asked:
        engine.add(one)
    given: dict[str, list[float]] = {}
    while not engine.is_idle:
        for piece in engine.step():
            given.setdefault(piece["id"], []).extend(scored["logprob"] for scored in piece["logprobs"])
    for one in asked:
        reference.add(one)
        told = []
        while not reference.is_idle:
            told += [scored["logprob"] for piece in reference.step() for scored in piece["logprobs"]]
        assert given[one["id"]] == pytest.approx(told, abs=1e-4)


def test_caches_of_other_kinds_are_kept_apart(
    engine: BatchedEngine, reference: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers that forget cannot be joined row by row: each request keeps its own cache then."""
    monkeypatch.setattr(batched_engine, "_bytes_a_token", lambda _: 0)
    requests = [request(at, text) for at, text in enumerate(_TEXTS)]
    expected = {one["id"]: said(reference, [one])[one["id"]] for one in requests}
    assert said(engine, requests) == expected


def test_bf16_is_what_int8_and_bf16_mean(model_folder: Path) -> None:
    for precision in ("bf16", "int8"):
        engine = BatchedEngine(model_folder, "cpu", precision, 1 << 28)
        assert engine.ready["precision"] == "bf16"
        assert next(engine._model.parameters()).dtype == torch.bfloat16
        assert said(engine, [request(0, "سلام")])["r0"]
