"""The first answer of an engine, before anybody asks: libraries compile and allocate with the first one."""

import logging
from typing import Any

from simorgh_inference.engine.protocol import GenerateRequest

_TEXT = "1 2 3"
_NUM_NEW = 2  # the step that reads the prompt, and one that goes on


def warm_up(engine: Any) -> None:
    """Let it answer once. What it cannot take here it tells each request; what breaks it ends it before it is ready."""
    request = GenerateRequest(
        op="generate", id="warm-up", messages=[], prompt=_TEXT, max_tokens=_NUM_NEW, temperature=0.0, top_p=1.0,
        seed=0, stop=[], cut_turns=False,
    )  # fmt: skip
    try:
        engine.add(request)
    except Exception as error:  # a tokenizer can raise anything
        logging.getLogger(__name__).warning("no warm-up: %s", type(error).__name__)
    while not engine.is_idle:
        engine.step()
