"""Merges an adapter into its base: one model that needs neither."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simorgh_trainer.optimize.methods.folders import copy_companions
from simorgh_trainer.optimize.methods.likeness import TOLERANCE, compare_logits
from simorgh_trainer.optimize.runtimes import TransformersRuntime, load_model


def make(source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int) -> dict[str, Any]:
    """Write the merged model; its logits equal those of the adapter on its base."""
    del spec
    load_model(source).merge_and_unload().save_pretrained(output)
    copy_companions(source, output, with_config=False)
    before = TransformersRuntime(load_model(source), threads)
    return compare_logits(before, TransformersRuntime(load_model(output), threads), ids, TOLERANCE)
