"""OpenVINO IR whose weights are kept in 8 or 4 bits, by NNCF; it is served as it is."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.openvino_ir.convertible import obstacle
from simorgh_shared.openvino_ir.precision import MODEL_FILE
from simorgh_trainer.optimize.methods.folders import copy_companions
from simorgh_trainer.optimize.methods.likeness import TOLERANCE, compare_logits
from simorgh_trainer.optimize.runtimes import OpenvinoRuntime, TransformersRuntime, load_model

_GROUPS = (32, 16)
"""Weights of a row that share a scale, at 4 bits: the first that parts every row evenly. Perplexity of SmolLM2 rose by
23 % in groups of 32, by 34 % in groups of 64, which are 5 % smaller."""
_FEW = 1_000  # weights: scales and zero points are constants in 8 bits too


def make_int8(source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int) -> dict[str, Any]:
    """Write the weights in 8 bits, a scale for each output."""
    import nncf

    del spec
    return _make(source, output, ids, threads, {"mode": nncf.CompressWeightsMode.INT8_ASYM})


def make_int4(source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int) -> dict[str, Any]:
    """Write the products' weights in 4 bits, the embedding's and the output's in 8.

    Raises: InvalidInputError for rows that no group parts evenly.
    """
    import nncf

    del spec
    config = load_model(source).config
    rows = (config.hidden_size, config.intermediate_size, config.num_attention_heads * config.head_dim)
    group_size = next((size for size in _GROUPS if not any(row % size for row in rows)), None)
    if group_size is None:
        raise InvalidInputError("optimization_unfit", reason=f"its rows of {rows} weights part into no even groups")
    how = {"mode": nncf.CompressWeightsMode.INT4_ASYM, "group_size": group_size, "ratio": 1.0}
    return _make(source, output, ids, threads, how) | {"group_size": group_size}


def _make(source: Path, output: Path, ids: list[int], threads: int, how: Mapping[str, Any]) -> dict[str, Any]:
    """Convert in float32, which must equal transformers, then compress."""
    import nncf
    import openvino

    from simorgh_shared.openvino_ir.export import export

    model = load_model(source)
    reason = obstacle(model.config.to_dict())
    if reason is not None:
        raise InvalidInputError("optimization_unfit", reason=reason)
    whole = output.with_name("float32")
    exported = export(model)
    openvino.save_model(exported, str(whole / MODEL_FILE), compress_to_fp16=False)
    before = OpenvinoRuntime(whole, threads, "f32")
    exact = compare_logits(TransformersRuntime(model, threads), before, ids, TOLERANCE)
    openvino.save_model(nncf.compress_weights(exported, **how), str(output / MODEL_FILE), compress_to_fp16=False)
    num_compressed = _num_compressed(openvino.Core().read_model(output / MODEL_FILE))
    if not num_compressed:
        raise InvalidInputError("optimization_not_alike", reason="no weight of it could be compressed")
    copy_companions(source, output)
    found = compare_logits(before, OpenvinoRuntime(output, threads, "f32"), ids, None)
    told = {"float32_deviation": exact["logits_deviation"], "float32_tolerance": TOLERANCE}
    return found | told | {"compressed_weights": num_compressed}


def _num_compressed(network: Any) -> dict[str, int]:
    """Weights by the type that they are kept in, those of 8 bits and less."""
    counts: dict[str, int] = {}
    for node in network.get_ops():
        if node.get_type_name() == "Constant" and node.get_element_type().bitwidth <= 8:
            count = math.prod(node.get_output_shape(0))
            if count > _FEW:
                name = node.get_element_type().get_type_name()
                counts[name] = counts.get(name, 0) + count
    return counts
