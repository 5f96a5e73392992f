"""The dashboard of voice: what those who speak and listen get, and how full its engines are."""

from deploy.observability.source.panels import Panel, Section, chart, dashboard, quantiles

_QUEUES = 'queue=~"voice.*"'
_PROCESSES = 'process=~"voice-.*"'


def voice() -> str:
    """Its JSON."""
    sections = (
        Section("Requests: rate, errors, duration", _requests()),
        Section("Engines: use and saturation", _engines()),
    )
    return dashboard(
        "simorgh-voice", "Simorgh: voice", "Transcription and speech, from the request to its answer.", sections
    )


def _requests() -> list[Panel]:
    return [
        chart(
            "Answers",
            "How voice requests ended, as the gateway saw it.",
            "reqps",
            {"{{kind}} {{outcome}}": "sum by (kind, outcome) (rate(simorgh_voice_answers_total[$__rate_interval]))"},
        ),
        chart(
            "Wait for an answer",
            "From the job's insertion to its answer or first audio.",
            "s",
            quantiles("simorgh_voice_wait_seconds", by="kind", of=(0.5, 0.95)),
        ),
        chart(
            "Real-time factor",
            "Seconds of work for a second of audio: above 1 it falls behind who speaks.",
            "none",
            quantiles("simorgh_voice_real_time_factor", by="kind", of=(0.5, 0.95)),
            bad_above=1,
        ),
        chart(
            "Audio",
            "Seconds of it a second.",
            "none",
            {"{{kind}}": "sum by (kind) (rate(simorgh_voice_audio_seconds_total[$__rate_interval]))"},
        ),
    ]


def _engines() -> list[Panel]:
    return [
        chart(
            "Waiting",
            "Jobs in the queues of voice.",
            "none",
            {"{{queue}} {{lane}}": f'max by (queue, lane) (simorgh_queue_jobs{{{_QUEUES}, state="queued"}})'},
        ),
        chart(
            "Wait for a worker",
            "By lane: clips on the short one.",
            "s",
            quantiles("simorgh_voice_queue_wait_seconds", by="lane", of=(0.5, 0.95)),
        ),
        chart(
            "Running",
            "Jobs on workers of voice.",
            "none",
            {"{{process}}": f"sum by (process) (simorgh_worker_running_jobs{{{_QUEUES}}})"},
        ),
        chart(
            "Models",
            "What they take in engines.",
            "bytes",
            {"{{lane}}": "sum by (lane) (simorgh_voice_models_loaded_bytes)"},
        ),
        chart(
            "Engines started and lost",
            "In five minutes.",
            "none",
            {
                "{{lane}}: {{outcome}}": "sum by (lane, outcome) (increase(simorgh_voice_engine_starts_total[5m]))",
                "{{lane}}: lost": "sum by (lane) (increase(simorgh_voice_engine_losses_total[5m]))",
            },
        ),
        chart(
            "Memory and cores",
            "Of the engines.",
            "short",
            {
                "bytes": f"sum(simorgh_children_resident_memory_bytes{{{_PROCESSES}}})",
                "cores": f"sum(rate(simorgh_children_cpu_seconds_total{{{_PROCESSES}}}[$__rate_interval]))",
            },
        ),
    ]
