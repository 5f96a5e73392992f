"""The names of all metrics that our programs know, from the registry that they all write to."""

from importlib import import_module

from prometheus_client import PROCESS_COLLECTOR, REGISTRY

from simorgh_api.app import ROUTES
from simorgh_api.dispatcher.depths import DEPTHS
from simorgh_shared.worker.gpus import GpuCollector

_PROGRAMS = ("simorgh_api.dispatcher.main", "simorgh_inference.app", "simorgh_voice.main", "simorgh_trainer.main")
_OF_PROMETHEUS = {"up", "scrape_duration_seconds", "ALERTS"}


def known_names() -> set[str]:
    """As they are asked for in a query."""
    for module in (*(f"simorgh_api.{name}" for name in ROUTES), *_PROGRAMS):
        import_module(module)
    names: set[str] = set(_OF_PROMETHEUS)
    for family in (*REGISTRY.collect(), *PROCESS_COLLECTOR.collect(), *DEPTHS.describe(), *GpuCollector(()).describe()):
        match family.type:
            case "counter":
                names.add(f"{family.name}_total")
            case "histogram":
                names |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
            case _:
                names.add(family.name)
    return names
