"""The lines of a batch's file: read one at a time, and checked before the first is asked."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_LINES = 50_000
MAX_LINE_BYTES = 8 << 20
_MAX_ERRORS = 100
_MAX_ID_CHARS = 512
_MEMBERS = ("custom_id", "method", "url", "body")


@dataclass(frozen=True)
class BatchLine:
    """A line that can be asked. The first has the number 1; empty lines have numbers, and are not there."""

    number: int
    custom_id: str
    body: dict[str, Any]

    @property
    def model(self) -> str:
        """What the line calls its model."""
        return str(self.body["model"])


class LineMisfitError(Exception):
    """Why a line cannot be asked."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


@dataclass
class Checked:
    """What a look through a file has found."""

    total: int = 0
    models: dict[str, str] = field(default_factory=dict)
    """The version that each name means."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """The first of them, as OpenAI's clients read them."""
    num_errors: int = 0

    def refuse(self, line: int | None, error: LineMisfitError) -> None:
        """Note an error."""
        self.num_errors += 1
        if len(self.errors) < _MAX_ERRORS:
            told = {"code": error.code, "line": line, "message": error.message, "param": error.param}
            self.errors.append(told)


def read(path: Path, url: str) -> Iterator[BatchLine]:
    """The lines of a file that was found good."""
    for number, raw in _raw(path):
        yield _parsed(number, raw, url)


def check(path: Path, url: str, resolve: Callable[[str], str | None], look: Callable[[], None]) -> Checked:
    """Look through a file.

    resolve: the version that a model's name means, or None.
    look: called now and then; raises where the work is to end.
    """
    found, ids = Checked(), set[str]()
    for number, raw in _raw(path):
        if number % 100 == 1:
            look()
        found.total += 1
        if found.total > MAX_LINES:
            found.refuse(None, LineMisfitError("too_many_lines", f"A batch has at most {MAX_LINES} requests."))
            break
        try:
            line = _parsed(number, raw, url)
            if line.custom_id in ids:
                told = f"The custom_id {line.custom_id[:80]} stands in the file twice."
                raise LineMisfitError("duplicate_custom_id", told, "custom_id")
            ids.add(line.custom_id)
            _find(line, found.models, resolve)
        except LineMisfitError as error:
            found.refuse(number, error)
    if found.total == 0:
        found.refuse(None, LineMisfitError("empty_file", "The file holds no requests."))
    return found


def _find(line: BatchLine, models: dict[str, str], resolve: Callable[[str], str | None]) -> None:
    if line.model in models:
        return
    version = resolve(line.model)
    if version is None:
        told = f"There is no model {line.model[:80]} in this project."
        raise LineMisfitError("model_not_found", told, "body.model")
    models[line.model] = version


def _raw(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers; of one that is too long only so much as tells."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            whole = raw
            while not raw.endswith(b"\n") and len(raw) > MAX_LINE_BYTES:
                if not (raw := file.readline(MAX_LINE_BYTES + 1)):
                    break
            if whole.strip():
                yield number, whole


def _parsed(number: int, raw: bytes, url: str) -> BatchLine:
    """Raises: LineMisfitError."""
    if len(raw) > MAX_LINE_BYTES:
        raise LineMisfitError("line_too_long", f"The line is longer than {MAX_LINE_BYTES} bytes.")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise LineMisfitError("invalid_json_line", "The line is no JSON.") from error
    if not isinstance(value, dict):
        raise LineMisfitError("invalid_json_line", "The line is no JSON object.")
    for name in value:
        if name not in _MEMBERS:
            told = f"Unknown member {name[:40]}. A line has {', '.join(_MEMBERS)}."
            raise LineMisfitError("unknown_parameter", told, name[:40])
    custom_id = value.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _MAX_ID_CHARS:
        told = f"custom_id must be text of 1 to {_MAX_ID_CHARS} characters."
        raise LineMisfitError("invalid_custom_id", told, "custom_id")
    if value.get("method") != "POST":
        raise LineMisfitError("invalid_method", "method must be POST.", "method")
    if value.get("url") != url:
        raise LineMisfitError("mismatched_url", f"url must be the batch's endpoint, {url}.", "url")
    return BatchLine(number, custom_id, _body(value.get("body")))


def _body(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise LineMisfitError("invalid_body", "body must be a JSON object.", "body")
    model = body.get("model")
    if not isinstance(model, str) or not model or "\x00" in model or not _is_text(model):
        raise LineMisfitError("invalid_model", "body.model must name a model.", "body.model")
    if body.get("stream") not in (None, False):
        raise LineMisfitError("stream_unsupported", "A batch's answers are not streamed.", "body.stream")
    return body


def _is_text(text: str) -> bool:
    """Whether it can be UTF-8: half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def answer_text(job_id: str, line: BatchLine, response: Mapping[str, Any] | None, error: object = None) -> str:
    """A line of the output or error file."""
    told = {
        "id": f"batch_req_{job_id.partition('_')[2]}_{line.number}",
        "custom_id": line.custom_id,
        "response": response,
        "error": error,
    }
    text = json.dumps(told, ensure_ascii=False)
    return text if _is_text(text) else json.dumps(told)
