"""The trial of `make deploy-test`: the platform as containers, built here, used, hurt and ended without a trace.

    python deploy/trial/run.py [--whisper FOLDER] [--keep]

It starts a container engine of its own (Debian's, unpacked, as root), builds the images on a base made here, starts
compose, goes the newcomer's way with stock clients, kills the trainer's container in mid-training while PostgreSQL and
Valkey restart, and compares the weights with those of an undisturbed run. It prints one line of JSON and exits with 1
where something was wrong, with 77 where no engine can be had.
"""

import argparse
import json
import shutil
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy" / part) for part in ("images", "compose", "trial")]

import bases  # noqa: E402 (the rooms of this trial are no packages)
import build  # noqa: E402
import engine  # noqa: E402
import sbom  # noqa: E402
from stack import Stack  # noqa: E402

_KILL_AT_STEP = 25  # between the saves at 20 and 30
_LOOPBACK = "127.0.0.1:"


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv/deploy-test", help="packages, images, state")
    parser.add_argument("--whisper", type=Path, help="a Whisper model's folder: what was spoken is heard too")
    parser.add_argument("--keep", action="store_true", help="keep the images for the next trial (about 15 GB)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the trial finds nothing left either
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tools = engine.unpack_tools(folder)
        before = engine.traces(engine.tool_environment(tools))
        with engine.running(folder) as running:
            told = try_out(running, folder, arguments.whisper and arguments.whisper.resolve())
    except engine.NoEngineError as error:
        say(f"No container engine can be had here: {error}")
        return engine.NO_ENGINE
    after = engine.traces(engine.tool_environment(tools))
    left = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    told["faults"] += [f"left behind: {name}: {was!r} became {now!r}" for name, (was, now) in left.items()]
    if not arguments.keep:
        shutil.rmtree(folder / "data", ignore_errors=True)
    print(json.dumps(told, ensure_ascii=False))
    return 1 if told["faults"] else 0


def try_out(running: engine.Engine, folder: Path, whisper: Path | None) -> dict[str, Any]:
    """Build, start, use, hurt and end; the figures, and what was wrong."""
    told: dict[str, Any] = {"faults": []}
    begun = time.monotonic()
    say("Making the base image and the servers' …")
    bases.make_base(running, folder)
    bases.make_servers(running)
    say("Grafana is left out: no package registry has it.")
    with bases.wheels_served(running, folder) as index:
        for image in build.IMAGES:
            say(f"Building simorgh/{image} …")
            build.build(image, "cpu", running.environment | index)
    told["build_s"] = round(time.monotonic() - begun)
    sizes = build.sizes([build.tag(image) for image in build.IMAGES], running.environment)
    told["own_mb"] = {name: round(own / 1e6) for name, (_, own) in sizes.items()}
    if sizes[build.tag(build.PLAIN)][1] > build.MOST_API_BYTES:
        told["faults"].append("the gateway's image is too large")
    bills = {image: bill(running, image) for image in build.IMAGES}
    told["packages"] = {image: len(names) for image, names in bills.items()}
    if "torch" in bills[build.PLAIN] or "torch" not in bills["voice"]:
        told["faults"].append("a bill of materials tells wrongly where torch is")
    stack = Stack(running, folder, profiles="tls")
    try:
        say("Starting the platform …")
        told["start_s"] = round(stack.up(), 1)
        use(stack, folder / "traveller", whisper, told)
        told["faults"] += look(stack)
        told["memory"] = stack.memory()
    except Exception as error:
        told["faults"].append(f"{type(error).__name__}: {error}")
        say(stack.logs())
    finally:
        say("Ending the platform …")
        stack.down()
    for kind in ("container", "volume", "network"):
        names = running.says(
            kind, "ls", "--quiet", *(["--all"] if kind == "container" else ["--filter", "name=simorgh"])
        )
        if names:
            told["faults"].append(f"left behind: {kind}s {names}")
    return told


def bill(running: engine.Engine, image: str) -> set[str]:
    """The packages that an image's bill of materials tells."""
    told = running.says("run", "--rm", "--read-only", "--network", "none", build.tag(image), "cat", sbom.BILL)
    return {component["name"] for component in json.loads(told)["components"]}


def use(stack: Stack, folder: Path, whisper: Path | None, told: dict[str, Any]) -> None:
    """The newcomer's way, with one run undisturbed, and one with everything going wrong that may."""
    import journey  # OpenAI's client takes seconds to load: only where there is an engine

    shutil.rmtree(folder, ignore_errors=True)
    traveller = journey.Traveller(stack.url, folder)
    journey.sign_in(traveller)
    journey.upload(traveller)
    say("Training undisturbed …")
    begun = time.monotonic()
    quiet = journey.finish(traveller, journey.start(traveller, "undisturbed"))
    told["training_s"] = round(time.monotonic() - begun)
    say("Training, with the trainer killed, and PostgreSQL and Valkey restarted …")
    begun = time.monotonic()
    run_id = journey.start(traveller, "disturbed")
    journey.wait(traveller, run_id, lambda found: (found["step"] or 0) >= _KILL_AT_STEP)
    stack.crash("trainer-cpu")
    stack.compose("restart", "postgres", "valkey")
    stack.wait_back("trainer-cpu")
    disturbed = journey.finish(traveller, run_id)
    told["disturbed_training_s"] = round(time.monotonic() - begun)
    told["attempts"] = journey.state(traveller, run_id)["attempt"]
    told["weights"] = journey.weights(traveller, quiet)
    if told["attempts"] < 2:
        raise RuntimeError("the run that was killed had one attempt only")
    if journey.weights(traveller, disturbed) != told["weights"]:
        raise RuntimeError("the run that was killed has other weights")
    say("Chatting, speaking, listening …")
    told["answer"] = journey.chat(traveller, quiet)
    told["spoken_bytes"] = journey.speak(traveller)
    told["heard"] = journey.hear(traveller, whisper) if whisper else "left out: no Whisper model was given"
    say("Backing up …")
    stack.compose("--profile", "backup", "run", "--rm", "backup")


def look(stack: Stack) -> list[str]:
    """What must hold of the running containers."""
    faults = [f"the engine tells the secret {name}" for name in stack.leaks()]
    published = stack.published()
    faults += [
        f"{service} is reached at {way}"
        for service, ways in published.items()
        for way in ways
        if service not in {"api", "seaweedfs", "prometheus", "tls"} or not way.startswith(_LOOPBACK)
    ]
    address = f"http://127.0.0.1:{stack.ports['PROMETHEUS']}/api/v1/query?query=up"
    with urllib.request.urlopen(address, timeout=10) as answer:
        up = {each["metric"]["process"]: each["value"][1] for each in json.load(answer)["data"]["result"]}
    expected = {"api", "dispatcher", "trainer-cpu", "io", "inference", "voice-cpu"}
    faults += [f"Prometheus does not reach {name}" for name in sorted(expected) if up.get(name) != "1"]
    return faults + over_tls(stack)


def over_tls(stack: Stack) -> list[str]:
    """What the TLS profile's proxy shows and what it does not, by a certificate of its own authority."""
    context = ssl.create_default_context(cadata=stack.authority())
    faults = []
    for path, status in (("/docs", 200), ("/livez", 404), ("/metrics", 404)):
        try:
            with urllib.request.urlopen(
                f"https://localhost:{stack.ports['HTTPS']}{path}", timeout=10, context=context
            ) as answer:
                found = answer.status
        except urllib.error.HTTPError as error:
            found = error.code
        if found != status:
            faults.append(f"{path} over TLS answers {found}, not {status}")
    return faults


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
