"""The dashboard of the whole: is all well, what do users get, which part is full."""

from deploy.observability.source.panels import Panel, Section, chart, dashboard, number, quantiles

_OWN_CPU = 'rate(process_cpu_seconds_total{job="simorgh"}[$__rate_interval])'


def platform() -> str:
    """Its JSON."""
    sections = (
        Section("Is all well", _summary()),
        Section("Gateway: rate, errors, duration", _gateway()),
        Section("Processes: use and saturation", _processes()),
        Section("PostgreSQL", _database()),
        Section("Storage", _storage()),
    )
    says = "What users get and which part is full. Each alert that may fire is explained in docs/runbook.md."
    return dashboard("simorgh-platform", "Simorgh: platform", says, sections)


def _summary() -> list[Panel]:
    return [
        number("Processes that answer", "Targets that the last scrape reached.", "none", 'sum(up{job="simorgh"})'),
        number(
            "Processes that do not",
            "Targets that the last scrape did not reach.",
            "none",
            'count(up{job="simorgh"} == 0) or vector(0)',
            bad_above=1,
        ),
        number(
            "Alerts that fire",
            "Which ones, the list of alerts says.",
            "none",
            'count(ALERTS{alertstate="firing", alertname=~"Simorgh.*"}) or vector(0)',
            bad_above=1,
        ),
        number(
            "Versions that run",
            "More than one only while a release rolls out.",
            "none",
            "count(count by (version) (simorgh_build_info))",
            bad_above=2,
        ),
        number(
            "Requests answered well",
            "The share of the last 30 minutes that was no 5xx; the goal is 99.5 %.",
            "percentunit",
            "1 - simorgh:gateway_errors:ratio_rate30m",
            bad_below=0.995,
        ),
        number(
            "Requests", "A second, to the gateway.", "reqps", "sum(rate(simorgh_http_requests_total[$__rate_interval]))"
        ),
        number("Jobs that run", "On all workers.", "none", "sum(simorgh_worker_running_jobs)"),
        number(
            "Jobs that wait",
            "Eligible now, in all queues.",
            "none",
            'sum(max by (queue, lane) (simorgh_queue_jobs{state="queued"}))',
        ),
    ]


def _gateway() -> list[Panel]:
    return [
        chart(
            "Requests by status",
            "429 and 409 are among the 4xx.",
            "reqps",
            {"{{status}}": "sum by (status) (rate(simorgh_http_requests_total[$__rate_interval]))"},
        ),
        chart(
            "Share of 5xx",
            "Short and long window of the alert on the error budget.",
            "percentunit",
            {"5 minutes": "simorgh:gateway_errors:ratio_rate5m", "1 hour": "simorgh:gateway_errors:ratio_rate1h"},
        ),
        chart(
            "Time until an answer begins",
            "All routes: those that wait for a model's answer among them.",
            "s",
            quantiles("simorgh_http_request_seconds"),
        ),
        chart(
            "The same for reads",
            "GET alone; the alert looks at this p99.",
            "s",
            quantiles("simorgh_http_request_seconds", where='method="GET"'),
        ),
        chart(
            "Busiest routes",
            "The eight with most requests.",
            "reqps",
            {
                "{{method}} {{route}}": "topk(8, sum by (method, route)"
                " (rate(simorgh_http_requests_total[$__rate_interval])))"
            },
        ),
        chart(
            "Open",
            "Requests whose answers have not ended, and streams of events among them.",
            "none",
            {"requests": "sum(simorgh_http_requests_in_flight)", "streams": "sum(simorgh_event_streams)"},
        ),
        chart(
            "Bytes received",
            "Files that came in one request; those sent in parts go straight to storage.",
            "Bps",
            {"{{kind}}": "sum by (kind) (rate(simorgh_files_received_bytes_total[$__rate_interval]))"},
        ),
    ]


def _processes() -> list[Panel]:
    return [
        chart(
            "Cores of the processes",
            "Their own, without children.",
            "none",
            {"{{process}}": f"sum by (process) ({_OWN_CPU})"},
        ),
        chart(
            "Cores of their children",
            "Training runs, engines, checks of files.",
            "none",
            {"{{process}}": "sum by (process) (rate(simorgh_children_cpu_seconds_total[$__rate_interval]))"},
        ),
        chart(
            "Memory of the processes",
            "Resident, without children.",
            "bytes",
            {"{{process}}": 'sum by (process) (process_resident_memory_bytes{job="simorgh"})'},
        ),
        chart(
            "Memory of their children",
            "Resident; shared pages count in each.",
            "bytes",
            {"{{process}}": "sum by (process) (simorgh_children_resident_memory_bytes)"},
        ),
        chart(
            "Open files",
            "By the limit of each process.",
            "percentunit",
            {"{{process}}": 'max by (process) (process_open_fds{job="simorgh"} / process_max_fds{job="simorgh"})'},
            most=1,
        ),
        chart(
            "Disks of our folders",
            "What is free; the alert comes below a tenth.",
            "percentunit",
            {
                "{{process}} {{folder}}": "min by (process, folder)"
                " (simorgh_folder_free_bytes / simorgh_folder_size_bytes)"
            },
            most=1,
        ),
        chart(
            "Time of a scrape",
            "What Prometheus waited for each process's figures.",
            "s",
            {"{{process}}": 'max by (process) (scrape_duration_seconds{job="simorgh"})'},
        ),
    ]


def _database() -> list[Panel]:
    return [
        chart(
            "Statements",
            "A second.",
            "ops",
            {"{{process}}": "sum by (process) (rate(simorgh_database_statement_seconds_count[$__rate_interval]))"},
        ),
        chart(
            "Time of a statement",
            "Waiting for locks is in it.",
            "s",
            quantiles("simorgh_database_statement_seconds"),
        ),
        chart(
            "Failures",
            "silent: it was not there; late: a lock or a statement took too long.",
            "ops",
            {
                "{{process}} {{reason}}": "sum by (process, reason)"
                " (rate(simorgh_database_failures_total[$__rate_interval]))"
            },
        ),
        chart(
            "Connections in use",
            "By the most that each process may open.",
            "percentunit",
            {
                "{{process}}": 'max by (process) (simorgh_database_connections{state="in_use"}'
                " / on (process, instance) group_left simorgh_database_connections_limit)"
            },
            most=1,
        ),
    ]


def _storage() -> list[Panel]:
    return [
        chart(
            "Requests by operation",
            "A second, of all processes.",
            "ops",
            {"{{operation}}": "sum by (operation) (rate(simorgh_storage_seconds_count[$__rate_interval]))"},
        ),
        chart(
            "Time until it answers (p95)",
            "Of a read until its first byte; of a write until it is acknowledged.",
            "s",
            quantiles("simorgh_storage_seconds", by="operation", of=(0.95,)),
        ),
        chart(
            "Failures",
            "refused: a 4xx, also for what is not there; failed: a 5xx; silent: no answer.",
            "ops",
            {"{{reason}}": "sum by (reason) (rate(simorgh_storage_failures_total[$__rate_interval]))"},
        ),
    ]
