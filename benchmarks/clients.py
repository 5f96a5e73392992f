"""A trial of R-CHAT-3: clients that connect, stream and leave at random, against the whole platform.

    python benchmarks/clients.py --model FOLDER [--clients 200] [--seconds 300] [--limit 64]

Each client asks, and then reads to the end, leaves after some words, or leaves before the first one; one that is told
to come again (429) does so after Retry-After. It prints one line of JSON and exits with 1 where a claim does not hold:
no request is held at the end, the memory of front and engine in the last third is within 5 % of that in the middle
one, 99 % of the first words come within 2 s, and nothing fails.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import psutil
from streaming import QUESTIONS, Outcome, Trial, note, running_trial, wait_quiet, warm

FLAT = 0.05
FIRST_WITHIN_S = 2.0
_MOST_TOKENS = (4, 64)
_PAUSE_S = (0.0, 2.0)
_LOOK_S = 0.5
_ARRIVAL_S = 20.0
"""Within so long all clients have come for the first time."""


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument(
        "--limit", type=int, default=64, help="requests of the model at a time, at most; the others get 429"
    )
    parser.add_argument("--engine", choices=("openvino", "transformers"), default="openvino")
    arguments = parser.parse_args()
    variables = {"SIMORGH_MAX_WAITING": str(arguments.limit), "SIMORGH_ENGINE": arguments.engine}
    variables["SIMORGH_FIRST_TOKEN_S"] = str(FIRST_WITHIN_S)
    with running_trial(arguments.model, **variables) as trial:
        warm(trial, "bird", arguments.engine)
        outcomes, memory = asyncio.run(try_out(trial, arguments.clients, arguments.seconds))
        held = wait_quiet(trial)
    told = figures(outcomes, memory, held)
    print(json.dumps({"clients": arguments.clients, "limit": arguments.limit, "seconds": arguments.seconds, **told}))
    return 0 if all(told["met"].values()) else 1


async def try_out(trial: Trial, num_clients: int, seconds: float) -> tuple[list[Outcome], dict[str, list[int]]]:
    """All clients at once for so long; what became of their requests, and the bytes that the processes held."""
    memory: dict[str, list[int]] = {"front": [], "engine": []}

    async def look() -> None:
        while True:
            for name, held in (await asyncio.to_thread(held_bytes, trial)).items():
                memory[name].append(held)
            await asyncio.sleep(_LOOK_S)

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        outcomes = await come_and_go(trial.ask, "bird", num_clients, seconds)
        looking.cancel()
    return outcomes, memory


async def come_and_go(
    ask: Callable[..., Awaitable[Outcome]],
    model: str,
    num_clients: int,
    seconds: float,
    most_tokens: tuple[int, int] = _MOST_TOKENS,
) -> list[Outcome]:
    """So many clients for so long, each at times of its own; what became of their requests."""
    outcomes: list[Outcome] = []
    deadline = time.monotonic() + seconds

    async def client(random: Random) -> None:
        await asyncio.sleep(random.uniform(0.0, min(_ARRIVAL_S, seconds / 6)))
        while time.monotonic() < deadline:
            outcome = await one_request(ask, model, most_tokens, random)
            outcomes.append(outcome)
            pause_s = outcome.retry_after_s or random.uniform(*_PAUSE_S)
            await asyncio.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))

    async with asyncio.TaskGroup() as tasks:
        for number in range(num_clients):
            tasks.create_task(client(Random(number)))
    return outcomes


async def one_request(
    ask: Callable[..., Awaitable[Outcome]], model: str, most_tokens: tuple[int, int], random: Random
) -> Outcome:
    """A question, and one of the ways in which clients go."""
    question = random.choice(QUESTIONS) + " " + "Really! " * random.randrange(12)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": random.randint(*most_tokens),
        "temperature": random.choice((0.0, 1.0)),
    }
    way = random.choice(("stays", "stays", "leaves", "leaves_at_once"))
    if way == "leaves":
        return await ask(body, leave_after=random.randint(2, 20))
    return await ask(body, leave_s=random.uniform(0.0, 0.3) if way == "leaves_at_once" else None)


def held_bytes(trial: Trial) -> dict[str, int]:
    """The resident bytes of the inference server's front and of its engines."""
    front = next(child for child in trial.platform.supervisor.children if child.name == "inference")
    found = {"front": 0, "engine": 0}
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(front.pid or -1)
        found["front"] = process.memory_info().rss
        found["engine"] = sum(child.memory_info().rss for child in process.children(recursive=True))
    return found


def figures(outcomes: list[Outcome], memory: dict[str, list[int]], held: float) -> dict[str, Any]:
    """What was seen, and which claims hold."""
    first = sorted(outcome.first_s for outcome in outcomes if outcome.first_s is not None)
    failed = [outcome for outcome in outcomes if outcome.has_failed]
    for outcome in failed[:5]:
        note(f"failed: {outcome}")
    growth = {name: _growth(values) for name, values in memory.items()}
    p99 = float(np.percentile(first, 99)) if first else float("inf")
    statuses = Counter(outcome.status for outcome in outcomes)
    return {
        "requests": len(outcomes),
        "whole": sum(outcome.is_whole for outcome in outcomes),
        "left": sum(outcome.has_left for outcome in outcomes),
        "refused_429": statuses[429],
        "failed": len(failed),
        "first_word_s": {"median": round(statistics.median(first), 3) if first else None, "p99": round(p99, 3)},
        "memory_mb": {name: round(statistics.median(values) / 1e6) for name, values in memory.items()},
        "memory_growth": {name: round(value, 4) for name, value in growth.items()},
        "held_at_the_end": int(held),
        "met": {
            "no_slot_leaked": held == 0,
            "memory_flat": all(value <= FLAT for value in growth.values()),
            "first_word_p99": p99 < FIRST_WITHIN_S,
            "nothing_failed": not failed,
        },
    }


def _growth(values: list[int]) -> float:
    """By how much the last third of the time holds more than the middle one."""
    third = len(values) // 3
    return statistics.mean(values[2 * third :]) / statistics.mean(values[third : 2 * third]) - 1


if __name__ == "__main__":
    sys.exit(main())
