"""The dashboard of queues and workers: what waits, for how long, who works, how attempts end."""

from deploy.observability.source.panels import Panel, Section, chart, dashboard, quantiles


def queues() -> str:
    """Its JSON."""
    sections = (
        Section("Queues: use and saturation", _queues()),
        Section("Attempts: rate, errors, duration", _attempts()),
        Section("Dispatcher", _dispatcher()),
        Section("Workers", _workers()),
        Section("GPUs", gpus()),
    )
    says = "What waits, how long, who works on it, how attempts end. The dispatcher that has the duty tells of queues."
    return dashboard("simorgh-queues", "Simorgh: queues and workers", says, sections)


def _queues() -> list[Panel]:
    return [
        chart(
            "Waiting",
            "Eligible jobs that no worker has claimed.",
            "none",
            {"{{queue}} {{lane}}": 'max by (queue, lane) (simorgh_queue_jobs{state="queued"})'},
        ),
        chart(
            "Age of the oldest",
            "How long the job has waited that has waited longest.",
            "s",
            {"{{queue}} {{lane}}": "max by (queue, lane) (simorgh_queue_oldest_seconds)"},
        ),
        chart(
            "Slots in use",
            "Running jobs of a queue by the slots that take them; a worker of two queues counts in both.",
            "percentunit",
            {
                "{{queue}}": 'sum by (queue) (max by (queue, lane) (simorgh_queue_jobs{state="running"}))'
                " / (max by (queue) (simorgh_queue_slots) > 0)"
            },
        ),
        chart(
            "Running",
            "By queue.",
            "none",
            {"{{queue}}": 'sum by (queue) (max by (queue, lane) (simorgh_queue_jobs{state="running"}))'},
        ),
        chart(
            "To be tried again later, and parents that wait",
            "After a crash a job waits longer each time.",
            "none",
            {
                "{{queue}} {{state}}": "sum by (queue, state)"
                ' (max by (queue, lane, state) (simorgh_queue_jobs{state=~"delayed|waiting"}))'
            },
        ),
        chart(
            "Slots",
            "Of live workers that take jobs of the queue.",
            "none",
            {"{{queue}}": "max by (queue) (simorgh_queue_slots)"},
        ),
    ]


def _attempts() -> list[Panel]:
    return [
        chart(
            "Attempts by outcome",
            "A second.",
            "ops",
            {"{{outcome}}": "sum by (outcome) (rate(simorgh_attempts_total[$__rate_interval]))"},
        ),
        chart(
            "Share that broke down",
            "Crashed, stalled or lost; a job that explains why it cannot be done has not broken down.",
            "percentunit",
            {"{{queue}}": "simorgh:attempts_broken:ratio_rate30m"},
            most=1,
        ),
        chart(
            "Wait until claimed (p95)",
            "From eligible to claimed.",
            "s",
            quantiles("simorgh_job_wait_seconds", by="queue, lane", of=(0.95,)),
        ),
        chart(
            "Duration of an attempt",
            "However it ended.",
            "s",
            quantiles("simorgh_attempt_seconds", by="queue", of=(0.5, 0.95)),
        ),
        chart(
            "Leases that expired",
            "Jobs put back because their worker went silent.",
            "none",
            {"in 5 minutes": "sum(increase(simorgh_reaped_leases_total[5m]))"},
        ),
        chart(
            "Writes that came too late",
            "Refused, because the job belonged to another attempt already: the fence held.",
            "none",
            {"{{process}} in 5 minutes": "sum by (process) (increase(simorgh_stale_writes_total[5m]))"},
        ),
    ]


def _dispatcher() -> list[Panel]:
    return [
        chart("Has the duty", "One of them, always.", "none", {"{{instance}}": "simorgh_dispatcher_has_duty"}),
        chart(
            "Duration of a round",
            "A look at leases, parents and queues.",
            "s",
            quantiles("simorgh_dispatcher_round_seconds"),
        ),
        chart(
            "Rings, and rounds that failed",
            "A ring tells a worker that its queue has work.",
            "ops",
            {
                "rings": "sum(rate(simorgh_rings_total[$__rate_interval]))",
                "failed: {{part}}": "sum by (part) (rate(simorgh_dispatcher_failed_rounds_total[$__rate_interval]))",
            },
        ),
    ]


def _workers() -> list[Panel]:
    return [
        chart(
            "Jobs that run",
            "As the workers tell it.",
            "none",
            {"{{process}} {{queue}}": "sum by (process, queue) (simorgh_worker_running_jobs)"},
        ),
        chart(
            "Children",
            "Processes that they have started, and theirs.",
            "none",
            {"{{process}}": "sum by (process) (simorgh_child_processes)"},
        ),
        chart(
            "Memory of the children",
            "Resident.",
            "bytes",
            {"{{process}} {{instance}}": "sum by (process, instance) (simorgh_children_resident_memory_bytes)"},
        ),
    ]


def gpus() -> list[Panel]:
    """Panels of GPUs, each shown once however many processes tell of it."""
    labels = "{{gpu}}"
    return [
        chart(
            "Busy",
            "Share of time in which a kernel ran.",
            "percentunit",
            {labels: "max by (gpu) (simorgh_gpu_utilisation_ratio)"},
            most=1,
        ),
        chart(
            "Memory",
            "Taken, by whomever.",
            "percentunit",
            {labels: "max by (gpu) (simorgh_gpu_memory_used_bytes / simorgh_gpu_memory_bytes)"},
            most=1,
        ),
        chart(
            "Power",
            "Drawn now, and in the mean by the counter of energy.",
            "watt",
            {
                labels: "max by (gpu) (simorgh_gpu_power_watts)",
                f"{labels} mean": "max by (gpu) (rate(simorgh_gpu_energy_joules_total[$__rate_interval]))",
            },
        ),
        chart("Temperature", "In degrees.", "celsius", {labels: "max by (gpu) (simorgh_gpu_temperature_celsius)"}),
    ]
