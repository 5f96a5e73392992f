"""The dashboard of one training job: the run that has a place in a worker now, or had it at the time that is shown."""

from deploy.observability.source.panels import Panel, Section, chart, dashboard, number
from deploy.observability.source.queues import gpus

_AT = 'process=~"$process", instance=~"$instance", place=~"$place"'
_WORKER = 'process=~"$process", instance=~"$instance"'
VARIABLES = {
    "process": "label_values(simorgh_training_step, process)",
    "instance": 'label_values(simorgh_training_step{process=~"$process"}, instance)',
    "place": 'label_values(simorgh_training_step{process=~"$process", instance=~"$instance"}, place)',
}


def training() -> str:
    """Its JSON."""
    sections = (
        Section("How far", _progress()),
        Section("What it learns", _learning()),
        Section("How fast", _speed()),
        Section("What its worker takes", _worker()),
        Section("GPUs", gpus()),
    )
    says = (
        "A run is known by its worker and its place in it (metrics carry no job's id); which job that is,"
        " GET /api/jobs?status=running and the worker's log say. Every logged step for good: the job's own page."
    )
    return dashboard("simorgh-training", "Simorgh: one training job", says, sections, VARIABLES)


def _one(metric: str) -> str:
    return f"{metric}{{{_AT}}}"


def _progress() -> list[Panel]:
    done = f"{_one('simorgh_training_step')} / ({_one('simorgh_training_planned_steps')} > 0)"
    return [
        number("Done", "Steps by those planned.", "percentunit", done),
        number("Step", "The last that was told.", "none", _one("simorgh_training_step")),
        number("Remaining", "As the run expects.", "s", _one("simorgh_training_remaining_seconds")),
        number("Loss", "Nats a token, over the last window.", "none", _one("simorgh_training_loss")),
    ]


def _learning() -> list[Panel]:
    losses = {"training": _one("simorgh_training_loss"), "held out": _one("simorgh_training_held_out_loss")}
    return [
        chart("Loss", "In nats a token. Held out above training, and rising: it learns by heart.", "none", losses),
        chart("Learning rate", "Warm-up and decay.", "none", {"rate": _one("simorgh_training_learning_rate")}),
        chart(
            "Norm of the gradient",
            "Before it is clipped; peaks come before a loss that breaks away.",
            "none",
            {"norm": _one("simorgh_training_gradient_norm")},
        ),
    ]


def _speed() -> list[Panel]:
    return [
        chart(
            "Tokens a second",
            "Real ones, padding not counted.",
            "none",
            {"tokens/s": _one("simorgh_training_tokens_per_second")},
        ),
        chart(
            "FLOP utilisation",
            "The model's operations by those of a bare matrix product, measured as the run began.",
            "percentunit",
            {"utilisation": _one("simorgh_training_flop_utilisation_ratio")},
            most=1,
        ),
        chart(
            "Steps a second",
            "As they are told; logging_steps at a time.",
            "ops",
            {"steps/s": f"sum(rate(simorgh_training_steps_total{{{_WORKER}}}[$__rate_interval]))"},
        ),
    ]


def _worker() -> list[Panel]:
    return [
        chart(
            "Memory",
            "The run's own count (of its device), and all children of the worker.",
            "bytes",
            {
                "the run says": _one("simorgh_training_memory_bytes"),
                "children": f"simorgh_children_resident_memory_bytes{{{_WORKER}}}",
            },
        ),
        chart(
            "Cores",
            "Of the worker's children.",
            "none",
            {"cores": f"rate(simorgh_children_cpu_seconds_total{{{_WORKER}}}[$__rate_interval])"},
        ),
        chart(
            "Checkpoints on their way to storage",
            "Requests a second of the worker.",
            "ops",
            {
                "{{operation}}": "sum by (operation) (rate(simorgh_storage_seconds_count"
                f'{{{_WORKER}, operation=~"PutObject|UploadPart|CompleteMultipartUpload"}}[$__rate_interval]))'
            },
        ),
    ]
