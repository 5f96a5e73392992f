"""Whether what we ship to watch the platform works, and what it costs: a real Prometheus scrapes a busy platform.

    python benchmarks/observe.py --whisper FOLDER [--busy SECONDS]

It keeps an embedded platform busy (training, chat, voice, uploads) while Prometheus scrapes each process every two
seconds; asks every query of every panel and what every rule looks at; counts series; and compares the gateway with one
that tells Prometheus nothing, by turns. It prints a table and one line of JSON. Exit code: 0 where every claim holds, 1
where one does not, 69 where there is no Prometheus (the PATH, SIMORGH_PROMETHEUS, or `make bench-observe`, which takes
Debian's).
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from deploy.observability.series import BOUNDS, samples, unexpected
from measuring import Rounds, run_rounds
from observing import Prometheus, busy, requests_per_s, running_prometheus, targets
from streaming import note

from deploy.observability import expressions, promtool
from simorgh_cli.backing.ports import choose_free
from simorgh_cli.platform import Platform, running_platform
from voice import signed_up

SCRAPE_WITHIN_S = 0.05
COST = 0.03
_KINDS = {"api": "api", "dispatcher": "dispatcher", "inference": "inference", "voice-cpu": "voice"}
_CONNECTIONS = 8
_ROUND_S = 2.0
_GPU = ("simorgh_gpu_", '.*gpu"')
SKIPPED = {"simorgh_training_step offset 30m": "no run here takes half an hour"}
"""What finds nothing here though all is well, and why; what needs a GPU comes on top where there is none."""


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, required=True)
    parser.add_argument("--busy", type=float, default=120.0, help="seconds of work before the queries are asked")
    parser.add_argument("--compare", type=float, default=60.0, help="seconds for the comparison of gateways")
    arguments = parser.parse_args()
    program = promtool.find("prometheus")
    if program is None:
        print(f"There is no prometheus on the PATH, and {promtool.VARIABLE} names none: nothing was measured.")
        return promtool.ABSENT
    ports = [choose_free(set()) for _ in range(2)]
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    given |= {"SIMORGH_READS_PER_S": "1e6", "SIMORGH_READS_BURST": "1000000"}  # the comparison asks as fast as it can
    with tempfile.TemporaryDirectory(prefix="simorgh-observe-") as name:
        folder = Path(name)
        with (
            running_platform(folder / "data", given, note) as platform,
            signed_up(platform.api_url) as client,
            running_prometheus(program, folder / "prometheus", targets(platform), ports[0]) as prometheus,
        ):
            with busy(client, arguments.whisper):
                note(f"busy for {arguments.busy:g} s")
                time.sleep(arguments.busy)
                figures = look(prometheus, targets(platform))
            rounds, spent = compare(platform, client, ports, arguments.compare)
    return report(figures, rounds, spent)


def look(prometheus: Prometheus, at: Mapping[str, str]) -> dict[str, Any]:
    """All that Prometheus and the processes themselves say while the platform is busy."""
    texts = {name: httpx.get(f"http://{address}/metrics", timeout=30).text for name, address in at.items()}
    empty, skipped, asked = [], [], 0
    for query in (*expressions.of_panels("30s"), *expressions.of_rules()):
        parts = [query.text] if ": Simorgh" not in query.where else query.operands()
        for part in parts:
            if part in SKIPPED or (any(word in part for word in _GPU) and not Path("/dev/nvidia0").exists()):
                skipped.append(f"{query.where}: {SKIPPED.get(part, 'no GPU')}")
                continue
            asked += 1
            found = prometheus.ask(part)
            if not any(not math.isnan(float(one["value"][1])) for one in found):
                empty.append((query.where, part))
    took = 'scrape_duration_seconds{job="simorgh"}[2m]'
    quantile = {
        name: {
            one["metric"]["process"]: float(one["value"][1])
            for one in prometheus.ask(f"quantile_over_time({share}, {took})")
        }
        for name, share in (("median", 0.5), ("p95", 0.95))
    }
    return {
        "queries": asked,
        "skipped": sorted(set(skipped)),
        "empty": empty,
        "series": {name: len(samples(text)) for name, text in texts.items()},
        "bytes": {name: len(text) for name, text in texts.items()},
        "unexpected": [line for text in texts.values() for line in unexpected(text)],
        "scrape_s": quantile,
        "down": [one["metric"]["process"] for one in prometheus.ask('up{job="simorgh"} == 0')],
        "alerts": sorted({one["metric"]["alertname"] for one in prometheus.ask('ALERTS{alertstate="firing"}')}),
    }


def compare(
    platform: Platform, client: httpx.Client, ports: Sequence[int], within_s: float
) -> tuple[Rounds, dict[str, list[float]]]:
    """Answers a second of a gateway that Prometheus scrapes, and of one that tells nothing; processor time of each.

    Both are started for this: one that has worked for minutes is slower by more than what is looked for here.
    """
    token = str(client.headers["authorization"]).removeprefix("Bearer ")
    (own,) = [child for child in platform.supervisor.children if child.name == "api"]
    spent: dict[str, list[float]] = {}

    def measured(name: str, url: str, pid: int, path: str) -> Callable[[], float]:
        def run() -> float:
            before = sum(psutil.Process(pid).cpu_times()[:2])
            per_s = asyncio.run(requests_per_s(url, path, token, _CONNECTIONS, _ROUND_S))
            used = sum(psutil.Process(pid).cpu_times()[:2]) - before
            spent.setdefault(name, []).append(used / (per_s * _ROUND_S) * 1_000)
            return per_s

        return run

    peer = str(Path(__file__).parent / "peers" / "unobserved_gateway.py")
    with (
        gateway(own.program.argv, own.program.env, ports[0], platform.data_dir) as (observed, observed_pid),
        gateway((sys.executable, peer), own.program.env, ports[1], platform.data_dir) as (url, pid),
    ):
        variants = {}
        for what, path in (("read", "/api/jobs?limit=20"), ("null", "/livez")):
            variants[f"{what}, observed"] = measured(f"{what}, observed", observed, observed_pid, path)
            variants[f"{what}, not"] = measured(f"{what}, not", url, pid, path)
        for warm in variants.values():
            warm()
        spent.clear()
        rounds = run_rounds(variants, within_s)
    return rounds, spent


@contextmanager
def gateway(
    command: Sequence[str], environment: Mapping[str, str], port: int, folder: Path
) -> Iterator[tuple[str, int]]:
    """Another gateway on the same servers; its address and process id."""
    variables = dict(environment) | {"SIMORGH_API_PORT": str(port)}
    path = folder / "logs" / f"gateway-{port}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(path.read_text()[-2_000:])
            time.sleep(0.2)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def report(figures: Mapping[str, Any], rounds: Rounds, spent: Mapping[str, Sequence[float]]) -> int:
    """Print what was found; the exit code.

    The goal is about processor time for an answer: one gateway process has one core's worth of it, and answers a
    second follow from that, but swing by half where others use the machine.
    """
    cpu_ms = {name: statistics.median(values) for name, values in spent.items()}
    bounds = {name: BOUNDS[_KINDS.get(name, "worker")] for name in figures["series"]}
    print(f"\n{'process':<14}{'series':>8}{'bound':>8}{'bytes':>10}{'scrape median':>16}{'p95 ms':>9}")
    for name, count in figures["series"].items():
        median, p95 = (figures["scrape_s"][share].get(name, math.nan) * 1_000 for share in ("median", "p95"))
        print(f"{name:<14}{count:>8}{bounds[name]:>8}{figures['bytes'][name]:>10}{median:>13.1f} ms{p95:>9.1f}")
    for where, part in figures["empty"]:
        print(f"no data: {where}: {part}")
    ratios = {
        "read": rounds.ratio("read, observed", "read, not"),
        "null": rounds.ratio("null, observed", "null, not"),
        "read_cpu": _paired(spent["read, observed"], spent["read, not"]),
        "null_cpu": _paired(spent["null, observed"], spent["null, not"]),
    }
    for name in rounds.values:
        print(f"  {name:<16}{rounds.median(name):>10,.0f} answers/s{cpu_ms[name]:>9.3f} ms of processor each")
    met = {
        "every_query_has_data": not figures["empty"],
        "series_bounded": not figures["unexpected"] and all(n <= bounds[name] for name, n in figures["series"].items()),
        "scrape_within_50_ms": max(figures["scrape_s"]["median"].values()) <= SCRAPE_WITHIN_S,
        "costs_under_3_percent": ratios["read_cpu"] <= 1 + COST,
        "all_targets_up": not figures["down"],
    }
    body = {
        "bench": "observe",
        **figures,
        "gateway_per_s": {name: [round(value, 1) for value in values] for name, values in rounds.values.items()},
        "gateway_cpu_ms": {name: round(value, 4) for name, value in cpu_ms.items()},
        "ratios": {name: round(value, 4) for name, value in ratios.items()},
        "by_others": rounds.by_others,
        "met": met,
    }
    print(json.dumps(body))
    return 0 if all(met.values()) else 1


def _paired(values: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


if __name__ == "__main__":
    sys.exit(main())
