"""What Prometheus is told. Labels are from short lists: never an id, a language or a model's name."""

from prometheus_client import Counter, Gauge, Histogram

from simorgh_shared.domain.jobs import JobType, Lane

AUDIO_SECONDS = Counter("simorgh_voice_audio_seconds_total", "Audio that was heard or spoken", ["kind"])
QUEUE_WAIT_SECONDS = Histogram(
    "simorgh_voice_queue_wait_seconds",
    "From the queue to a worker",
    ["lane"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)
REAL_TIME_FACTOR = Histogram(
    "simorgh_voice_real_time_factor",
    "Seconds of work for a second of audio, with the loading of its model where that was needed",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5, 10, 30),
)
ENGINE_STARTS = Counter("simorgh_voice_engine_starts_total", "Engine children that were started", ["lane", "outcome"])
ENGINE_LOSSES = Counter("simorgh_voice_engine_losses_total", "Engine children that ended by themselves", ["lane"])
MODEL_BYTES = Gauge("simorgh_voice_models_loaded_bytes", "What the models in engine children take", ["lane"])

# A rate over a series that is not there yet is no zero.
for _kind in (JobType.TRANSCRIBE, JobType.SYNTHESIZE, JobType.HEAR_CLIPS):
    AUDIO_SECONDS.labels(_kind)
    REAL_TIME_FACTOR.labels(_kind)
for _lane in Lane:
    QUEUE_WAIT_SECONDS.labels(_lane)
    ENGINE_LOSSES.labels(_lane)
    MODEL_BYTES.labels(_lane)
    for _outcome in ("ready", "failed"):
        ENGINE_STARTS.labels(_lane, _outcome)
