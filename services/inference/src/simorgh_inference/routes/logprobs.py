"""How likely tokens were, in the two shapes that OpenAI's API has for it."""

from collections.abc import Sequence
from typing import Any


def of_chat(scored: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The `logprobs` of a choice of a chat completion, or of a piece of one."""
    content = [_entry(one) | {"top_logprobs": [_entry(other) for other in one["top"]]} for one in scored]
    return {"content": content, "refusal": None}


def of_completion(scored: Sequence[dict[str, Any]], num_top: int) -> dict[str, Any]:
    """The `logprobs` of a choice of a completion. Offsets count characters of the choice's text."""
    tops = [{_name(each, "bytes:"): each["logprob"] for each in (*one["top"], one)} for one in scored]
    return {
        "tokens": [_name(one, "bytes:") for one in scored],
        "token_logprobs": [one["logprob"] for one in scored],
        "top_logprobs": tops if num_top else None,
        "text_offset": [one["at"] for one in scored],
    }


def _entry(one: dict[str, Any]) -> dict[str, Any]:
    return {"token": _name(one, ""), "logprob": one["logprob"], "bytes": one["bytes"]}


def _name(one: dict[str, Any], sign: str) -> str:
    """The token's text; the bytes of a part of a character are written out, as `\\xd8`."""
    if one["text"] is not None:
        return str(one["text"])
    return sign + "".join(f"\\x{byte:02x}" for byte in one["bytes"])
