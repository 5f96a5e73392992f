"""A trial of R-MODEL-2: the alias `champion` moves under the load of clients that ask by it, and moves back.

    python benchmarks/champion.py --model FOLDER [--clients 32] [--swaps 4]

Each client asks one question after the other, streamed and to its end. The second version is the same weights with a
word in its configuration, so that another engine has to be loaded. Between two changes each client has ended some
answers. It prints one line of JSON and exits with 1 where a request failed or was refused.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from streaming import QUESTIONS, Outcome, Trial, note, running_trial, upload, wait_quiet, warm

_ALIAS = "/api/models/bird/aliases/champion"
_MOST_TOKENS = 24
_BETWEEN_S = 8.0


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--swaps", type=int, default=4)
    parser.add_argument("--engine", choices=("openvino", "transformers"), default="openvino")
    arguments = parser.parse_args()
    with running_trial(arguments.model, SIMORGH_ENGINE=arguments.engine) as trial:
        versions = [trial.version(), second_version(trial, arguments.model)]
        point(trial, versions[0])
        warm(trial, "bird@champion", arguments.engine)
        outcomes, changes = asyncio.run(try_out(trial, arguments.clients, arguments.swaps, versions))
        held = wait_quiet(trial)
    failed = [outcome for outcome in outcomes if not outcome.is_whole]
    for outcome in failed[:5]:
        note(f"failed: {outcome}")
    first = [outcome.first_s for outcome in outcomes if outcome.first_s is not None]
    told = {
        "clients": arguments.clients,
        "swaps": len(changes),
        "swap_s": [round(seconds, 1) for seconds in changes],
        "requests": len(outcomes),
        "failed": len(failed),
        "first_word_s": {"median": round(statistics.median(first), 3), "longest": round(max(first), 3)},
        "held_at_the_end": int(held),
    }
    print(json.dumps(told))
    return 0 if not failed and not held else 1


def second_version(trial: Trial, model: Path) -> str:
    """Another version of the same model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "second"
        shutil.copytree(model, folder)
        config = json.loads((folder / "config.json").read_bytes())
        (folder / "config.json").write_text(json.dumps(config | {"simorgh_trial": "second"}))
        upload(trial.client, folder, "bird")
    return trial.version()


def point(trial: Trial, version_id: str) -> float:
    """Move the alias; how long that took."""
    begun = time.monotonic()
    answer = trial.client.put(_ALIAS, json={"version_id": version_id})
    if answer.is_error:
        raise RuntimeError(answer.text[:1_000])
    return time.monotonic() - begun


async def try_out(
    trial: Trial, num_clients: int, num_swaps: int, versions: list[str]
) -> tuple[list[Outcome], list[float]]:
    """Ask and change; what became of all requests, and how long each change took."""
    outcomes: list[Outcome] = []
    over = asyncio.Event()

    async def ask_again_and_again(number: int) -> None:
        body: dict[str, Any] = {"model": "bird@champion", "max_tokens": _MOST_TOKENS, "temperature": 0}
        while not over.is_set():
            question = QUESTIONS[(number + len(outcomes)) % len(QUESTIONS)]
            outcomes.append(await trial.ask(body | {"messages": [{"role": "user", "content": question}]}))

    changes = []
    async with asyncio.TaskGroup() as tasks:
        for number in range(num_clients):
            tasks.create_task(ask_again_and_again(number))
        for number in range(num_swaps):
            await asyncio.sleep(_BETWEEN_S)
            changes.append(await asyncio.to_thread(point, trial, versions[(number + 1) % 2]))
        await asyncio.sleep(_BETWEEN_S)
        over.set()
    return outcomes, changes


if __name__ == "__main__":
    sys.exit(main())
