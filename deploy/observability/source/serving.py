"""The dashboard of serving: what those who chat get, and how full engines are."""

from deploy.observability.source.panels import Panel, Section, chart, dashboard, number, quantiles

_OWN = 'process="inference"'


def serving() -> str:
    """Its JSON."""
    sections = (
        Section("Now", _now()),
        Section("Requests: rate, errors, duration", _requests()),
        Section("Engines: use and saturation", _engines()),
    )
    return dashboard(
        "simorgh-serving", "Simorgh: serving", "Chat, completions and embeddings by the inference server.", sections
    )


def _now() -> list[Panel]:
    return [
        number(
            "Tokens a second",
            "That engines make.",
            "none",
            "sum(rate(simorgh_inference_generated_tokens_total[$__rate_interval]))",
        ),
        number("Held", "Requests that engines work on.", "none", "sum(simorgh_inference_requests_held)"),
        number(
            "Waiting for a first token",
            "The loading of a model is in it.",
            "none",
            "sum(simorgh_inference_requests_waiting)",
        ),
        number("Engines", "Children that live.", "none", "sum(simorgh_inference_engines_loaded)"),
    ]


def _requests() -> list[Panel]:
    return [
        chart(
            "Requests by outcome",
            "busy is a 429, left a client that went.",
            "reqps",
            {"{{outcome}}": "sum by (outcome) (rate(simorgh_inference_requests_total[$__rate_interval]))"},
        ),
        chart(
            "Share that went wrong",
            "By a lost engine, a part that was away or a fault of ours.",
            "percentunit",
            {"wrong": "simorgh:inference_errors:ratio_rate5m"},
            most=1,
        ),
        chart(
            "Time to the first token",
            "With the loading of the model where that was needed.",
            "s",
            quantiles("simorgh_inference_first_token_seconds"),
        ),
        chart("Duration of a request", "However it ended.", "s", quantiles("simorgh_inference_request_seconds")),
        chart(
            "Tokens a second",
            "Of all engines.",
            "none",
            {"tokens/s": "sum(rate(simorgh_inference_generated_tokens_total[$__rate_interval]))"},
        ),
    ]


def _engines() -> list[Panel]:
    step = "simorgh_inference_step_requests"
    mean = f"sum(rate({step}_sum[$__rate_interval])) / sum(rate({step}_count[$__rate_interval]))"
    return [
        chart("Batch", "Requests that got a token in one step.", "none", {"mean": mean, **quantiles(step, of=(0.95,))}),
        chart(
            "Use of the cache",
            "Of keys and values, in the fullest engine; engines without such a cache tell 0.",
            "percentunit",
            {"{{instance}}": "simorgh_inference_cache_use_ratio"},
            most=1,
            bad_above=0.95,
        ),
        chart(
            "Requests",
            "Held by engines, and waiting for a first token.",
            "none",
            {"held": "sum(simorgh_inference_requests_held)", "waiting": "sum(simorgh_inference_requests_waiting)"},
        ),
        chart(
            "Engines started, lost, unloaded",
            "In five minutes. Unloaded ones made room for another model.",
            "none",
            {
                "started: {{outcome}}": "sum by (outcome) (increase(simorgh_inference_engine_starts_total[5m]))",
                "lost": "sum(increase(simorgh_inference_engine_losses_total[5m]))",
                "unloaded": "sum(increase(simorgh_inference_engines_unloaded_total[5m]))",
            },
        ),
        chart(
            "Memory",
            "Of the server and its engines.",
            "bytes",
            {
                "server": f'sum(process_resident_memory_bytes{{job="simorgh", {_OWN}}})',
                "engines": f"sum(simorgh_children_resident_memory_bytes{{{_OWN}}})",
            },
        ),
        chart(
            "Cores",
            "Of the server and its engines.",
            "none",
            {
                "server": f'sum(rate(process_cpu_seconds_total{{job="simorgh", {_OWN}}}[$__rate_interval]))',
                "engines": f"sum(rate(simorgh_children_cpu_seconds_total{{{_OWN}}}[$__rate_interval]))",
            },
        ),
    ]
