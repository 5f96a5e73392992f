"""A trace goes on from the gateway's client to the inference server, by W3C's header."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.environment import inherited
from tests.support.inference import InferenceServer
from tests.support.otlp import Exported, running_collector

ASK = """
import asyncio, sys
from simorgh_shared import tracing
from simorgh_shared.clients.inference import InferenceClient

async def ask():
    client = InferenceClient(sys.argv[1], None)
    with tracing.span("question"):
        await client.models("req_one")
    await client.close()

tracing.configure_tracing("api")
asyncio.run(ask())
tracing.flush()
"""


def test_the_servers_span_is_below_the_askers(serve: Callable[..., InferenceServer], tmp_path: Path) -> None:
    """R-OPS-5: the gateway's client sends the span that it works in; probes leave no spans."""
    (tmp_path / "model").mkdir()
    with running_collector() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        server = serve("--model-dir", str(tmp_path / "model"), until="/livez", **traced)
        subprocess.run([sys.executable, "-c", ASK, server.url], env=inherited() | traced, check=True, timeout=60)
        server.wait(lambda: len(collector.spans) >= 2, "both have sent their spans")

        def only(service: str) -> Exported:
            (found,) = [span for span in collector.spans if span.service == service]
            return found

        question, answer = only("simorgh-api"), only("simorgh-inference")
    assert question.name == "question"
    assert answer.name == "GET /internal/models"
    assert (answer.trace_id, answer.parent_id) == (question.trace_id, question.span_id)
    assert answer.attributes["http.response.status_code"] == 200
