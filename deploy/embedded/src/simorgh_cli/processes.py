"""Owns the table of the platform's processes: what `simorgh up` starts, and the Procfile mirrors."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """One process of the platform."""

    name: str
    command: tuple[str, ...]
    """A console script and its arguments."""
    loads_torch: bool = False
    needs_gpu: bool = False
    ready_at: str | None = None
    """The variable with the port at which `/readyz` answers; SIMORGH_METRICS_PORT where it serves metrics too."""
    metrics_port: bool = False
    """It serves `/metrics` on a port of its own."""
    grace_s: float = 5.0
    """Longer than a worker takes at most (`drain_grace_s`, 25)."""


SERVICES = (
    Service("api", ("simorgh-api",), ready_at="SIMORGH_API_PORT"),
    Service("dispatcher", ("simorgh-dispatcher",), metrics_port=True),
    Service(
        "trainer-cpu",
        ("simorgh-trainer-worker", "--queues", "train.cpu,optimize.cpu", "-c", "1"),
        loads_torch=True,
        metrics_port=True,
        grace_s=28.0,  # a training child saves a checkpoint first
    ),
    Service(
        "trainer-gpu",
        ("simorgh-trainer-worker", "--queues", "train.gpu"),
        loads_torch=True,
        needs_gpu=True,
        metrics_port=True,
        grace_s=28.0,
    ),
    Service("io", ("simorgh-trainer-worker", "--queues", "io", "-c", "4"), metrics_port=True, grace_s=28.0),
    Service(
        "voice-cpu",
        ("simorgh-voice", "--queues", "voice.cpu"),
        loads_torch=True,
        ready_at="SIMORGH_METRICS_PORT",
        metrics_port=True,
        grace_s=28.0,  # a clip is finished first, a long file given back
    ),
    Service(
        "voice-gpu",
        ("simorgh-voice", "--queues", "voice.gpu"),
        loads_torch=True,
        needs_gpu=True,
        ready_at="SIMORGH_METRICS_PORT",
        metrics_port=True,
        grace_s=28.0,
    ),
    Service("inference", ("simorgh-inference",), loads_torch=True, ready_at="SIMORGH_INFERENCE_PORT"),
)

# Without these, bf16 training on 2 cores falls 20 to 80 times: waiting threads spin on the core that computes.
TORCH_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


def procfile() -> str:
    """The table in the form of a Procfile."""
    return "".join(f"{service.name}: {' '.join(service.command)}\n" for service in SERVICES)
