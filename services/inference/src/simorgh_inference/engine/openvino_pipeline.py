"""Loads a converted model into openvino-genai's pipeline with continuous batching."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai

from simorgh_shared.openvino_ir.precision import PROPERTIES

BLOCK_TOKENS = 32  # of the CPU's cache; requests reserve whole blocks
_BATCH_TOKENS = 256  # of a step: a long prompt is read over several, in which the others go on


def load(folder: Path, precision: str, num_blocks: int, max_sequences: int) -> Any:
    """The pipeline. It has no tokenizer: ids go in and come out."""
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = num_blocks
    scheduler.max_num_seqs = max_sequences
    scheduler.max_num_batched_tokens = _BATCH_TOKENS
    scheduler.dynamic_split_fuse = True
    scheduler.enable_prefix_caching = False
    return openvino_genai.ContinuousBatchingPipeline(folder, scheduler, "CPU", dict(PROPERTIES[precision]))


def add(pipeline: Any, number: int, prompt: Sequence[int], num_new: int, sampling: dict[str, Any] | None = None) -> Any:
    """Give it a request; without sampling it is greedy. End tokens do not end it: the caller cancels it there."""
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = num_new
    config.ignore_eos = True
    config.stop_token_ids, config.eos_token_id = {0}, 0  # ignored; it refuses to have none
    for name, value in (sampling or {}).items():
        setattr(config, name, value)
    return pipeline.add_request(number, openvino.Tensor(np.array([prompt], dtype=np.int64)), config)


def read(handle: Any) -> Iterable[int]:
    """The ids that have come since it was read."""
    return (token for token, _ in read_scored(handle))


def read_scored(handle: Any) -> Iterable[tuple[int, float]]:
    """The ids that have come since it was read, each with its log-probability where the sampling asks for those."""
    while handle.can_read():
        for output in handle.read().values():
            yield from itertools.zip_longest(output.generated_ids, output.generated_log_probs, fillvalue=0.0)
