"""What Prometheus is told. Labels are from short lists written here: never an id, a model's name or a path."""

from prometheus_client import Counter, Gauge, Histogram

OUTCOMES = ("stop", "length", "refused", "busy", "left", "expired", "lost", "unavailable", "failed")
"""Ended by itself, by its limit; a 4xx; a 429; the client left; the time was over; the engine died; a 5xx we know; a
fault of ours."""

REQUESTS = Counter("simorgh_inference_requests_total", "Chat requests by what became of them", ["outcome"])
TOKENS = Counter("simorgh_inference_generated_tokens_total", "Tokens that engines made")
FIRST_TOKEN_SECONDS = Histogram(
    "simorgh_inference_first_token_seconds",
    "From the request to its first token, with the loading of its model where that was needed",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180),
)
REQUEST_SECONDS = Histogram(
    "simorgh_inference_request_seconds",
    "From a request to its end, however it ended",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600),
)
STEP_REQUESTS = Histogram(
    "simorgh_inference_step_requests",
    "Requests that got a token in one step of an engine",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
ENGINES_LOADED = Gauge("simorgh_inference_engines_loaded", "Engine children that live")
REQUESTS_HELD = Gauge("simorgh_inference_requests_held", "Requests that engine children hold now")
REQUESTS_WAITING = Gauge("simorgh_inference_requests_waiting", "Requests that have no token yet, loading included")
CACHE_USE = Gauge(
    "simorgh_inference_cache_use_ratio", "What of its cache of keys and values the fullest engine has reserved"
)
ENGINE_STARTS = Counter("simorgh_inference_engine_starts_total", "Engine children that were started", ["outcome"])
ENGINE_LOSSES = Counter("simorgh_inference_engine_losses_total", "Engine children that ended by themselves")
ENGINES_UNLOADED = Counter("simorgh_inference_engines_unloaded_total", "Engine children that made room for another")

for _outcome in OUTCOMES:  # a rate over a series that is not there yet is no zero
    REQUESTS.labels(_outcome)
for _outcome in ("ready", "failed"):
    ENGINE_STARTS.labels(_outcome)
