"""Measures one form of a model in a process of its own: `python -m simorgh_trainer.optimize.measuring REQUEST.json`.

Shapes: T tokens, V vocabulary.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simorgh_shared.child.entry import die_with_parent
from simorgh_trainer.optimize.runtimes import Runtime, TransformersRuntime, open_runtime

IGNORED = -100
"""The label of a position whose next token is not predicted."""
_TIMED = 16  # answers that are given alone, and timed
_TOGETHER = 16


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Held-out loss, answers and their times, and the memory that it took."""
    runtime = open_runtime(request["runtime"], Path(request["folder"]), request["threads"])
    nats, num_tokens = _loss(runtime, request["samples"])
    _answer(runtime, request["prompts"][0], 2)  # what is set up at the first call is no part of the times
    answers, first_ms, per_s = [], [], []
    deadline = time.monotonic() + request["answers_within_s"]
    # transformers is slow alone and computes each row of a batch by itself: the others would say other things there.
    num_timed = _TIMED if isinstance(runtime, TransformersRuntime) else len(request["prompts"])
    for prompt in request["prompts"][:num_timed]:
        ids, first_s, rest_s = _answer(runtime, prompt, request["max_tokens"])
        answers.append(ids)
        first_ms.append(1_000 * first_s)
        per_s.append((len(ids) - 1) / rest_s)
        if time.monotonic() > deadline:
            break
    peak_memory_bytes = _peak_memory_bytes()  # of one sequence
    if isinstance(runtime, TransformersRuntime):
        for start in range(num_timed, len(request["prompts"]), _TOGETHER):
            if time.monotonic() > deadline:
                break
            batch = request["prompts"][start : start + _TOGETHER]
            answers.extend(runtime.answer_together(batch, request["max_tokens"]))
    return {
        "runtime": runtime.name,
        "nats": nats,
        "num_tokens": num_tokens,
        "answers": answers,
        "first_token_ms": statistics.median(first_ms),
        "tokens_per_s": statistics.median(per_s),
        "peak_memory_bytes": peak_memory_bytes,
    }


def _loss(runtime: Runtime, samples: Sequence[Sequence[Sequence[int]]]) -> tuple[float, int]:
    """Summed nats of the labelled positions, and their number."""
    nats, num_tokens = 0.0, 0
    for ids, labels in samples:
        logits_TV, _ = runtime.step(list(ids), None)
        labels_T = np.array(labels)
        places_T = np.nonzero(labels_T != IGNORED)[0]
        chosen_TV = logits_TV[places_T].astype(np.float64)
        nats += float((_log_sum(chosen_TV) - chosen_TV[np.arange(len(places_T)), labels_T[places_T]]).sum())
        num_tokens += len(places_T)
    return nats, num_tokens


def _log_sum(logits_TV: NDArray[np.float64]) -> NDArray[np.float64]:
    highest_T1 = logits_TV.max(-1, keepdims=True)
    sums_T: NDArray[np.float64] = np.log(np.exp(logits_TV - highest_T1).sum(-1)) + highest_T1[:, 0]
    return sums_T


def _answer(runtime: Runtime, prompt: Sequence[int], num_tokens: int) -> tuple[list[int], float, float]:
    """So many greedy tokens, whatever ends an answer; seconds to the first, and for those after it."""
    began = time.perf_counter()
    logits_TV, state = runtime.step(list(prompt), None)
    ids = [int(logits_TV[-1].argmax())]
    first_s = time.perf_counter() - began
    while len(ids) < num_tokens:
        logits_TV, state = runtime.step(ids[-1:], state)
        ids.append(int(logits_TV[-1].argmax()))
    return ids, first_s, time.perf_counter() - began - first_s


def _peak_memory_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1_024


def main() -> None:
    """Read the request, write the answer beside it."""
    die_with_parent()
    path = Path(sys.argv[1])
    answer = measure(json.loads(path.read_bytes()))
    path.with_suffix(".measured").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
