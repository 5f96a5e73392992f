"""Requests of schemathesis's making over /v1, good ones and bad: none of them may be a fault of the server (R-API-3).

They are made from the contract; what the inference server takes, which the gateway passes on, is described by its own
schema. SIMORGH_TEST_EXAMPLES says how many of each kind are sent.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from simorgh_inference.schema import ChatRequest, CompletionRequest, EmbeddingRequest
from tests.support.gateway import Account

_CONTRACT = Path(__file__).parents[2] / "contracts" / "openapi.json"
_PASSED_ON: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": EmbeddingRequest,
}
_NUM_EXAMPLES = int(os.environ.get("SIMORGH_TEST_EXAMPLES", "10"))
_TRIES = (True, True, True, False)
CHATTING = ("/v1/chat", "/v1/completions", "/v1/embeddings", "/v1/models")
KEEPING = ("/v1/files", "/v1/batches")
VOICE = ("/v1/audio",)


def operations(*paths: str) -> list[tuple[str, GenerationMode]]:
    """Those of the contract at and below these paths, as `POST /v1/files`, with good requests and with bad ones.

    Where there is only a path to write something into, no request is bad.
    """
    return [
        (f"{method.upper()} {path}", mode)
        for path, item in _described()["paths"].items()
        for method, told in item.items()
        for mode in GenerationMode
        if any(path == one or path.startswith(f"{one}/") for one in paths)
        and (mode is GenerationMode.POSITIVE or "requestBody" in told or _takes_more_than_a_path(told))
    ]


def send_any(
    account: Account,
    operation: str,
    mode: GenerationMode,
    real: Mapping[str, object],
    change: Callable[[dict[str, Any]], None] = lambda body: None,
) -> list[int]:
    """Send requests of one operation, most of them with names that are real; the statuses of the answers.

    `real` has what stands for a parameter of its name, or a function that makes it anew for each request, and `change`
    may write into a body. Each answer has to be what the contract says of it, and none a fault of the server.
    """
    method, _, path = operation.partition(" ")
    found = schemathesis.openapi.from_dict(_described())[path][method]
    statuses: list[int] = []

    @given(case=found.as_strategy(generation_mode=mode), has_real=st.sampled_from(_TRIES))
    @settings(
        max_examples=_NUM_EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def each(case: Any, has_real: bool) -> None:
        if has_real:
            _name_real(case, real)
        if isinstance(case.body, dict):
            change(case.body)
        answer = case.call(session=session, base_url=str(account.client.base_url), headers=headers, timeout=60)
        assert answer.status_code < 500, answer.text
        is_stream = answer.headers.get("content-type", [""])[0].startswith("text/event-stream")
        # A stream is described as the string that it is, where schemathesis looks for the shape of an event.
        checks = [content_type_conformance] if is_stream else [content_type_conformance, response_schema_conformance]
        case.validate_response(answer, checks=checks)
        statuses.append(answer.status_code)

    headers = {"authorization": account.client.headers["authorization"]}
    with requests.Session() as session:
        each()
    return statuses


@cache
def _described() -> dict[str, Any]:
    """The contract's /v1, with what the inference server takes."""
    contract: dict[str, Any] = json.loads(_CONTRACT.read_text())
    contract["paths"] = {path: item for path, item in contract["paths"].items() if path.startswith("/v1/")}
    for item in contract["paths"].values():
        for operation in item.values():
            del operation["security"]  # else most bad requests are those of nobody, which no route sees
    names, definitions = models_json_schema(
        [(shape, "validation") for shape in _PASSED_ON.values()], ref_template="#/components/schemas/{model}"
    )
    contract["components"]["schemas"] |= definitions["$defs"]
    for path, shape in _PASSED_ON.items():
        body = contract["paths"][path]["post"]["requestBody"]
        body["content"]["application/json"]["schema"] = names[shape, "validation"]
    return contract


def _takes_more_than_a_path(told: dict[str, Any]) -> bool:
    return any(parameter["in"] != "path" for parameter in told.get("parameters", ()))


def _name_real(case: Any, real: Mapping[str, object]) -> None:
    for place in ("path_parameters", "query", "body"):
        drawn = getattr(case, place)
        if isinstance(drawn, dict):
            meant = [name for name in real if isinstance(drawn.get(name), str | bytes)]
            setattr(case, place, drawn | {name: _made(real[name]) for name in meant})


def _made(value: object) -> object:
    return value() if callable(value) else value
