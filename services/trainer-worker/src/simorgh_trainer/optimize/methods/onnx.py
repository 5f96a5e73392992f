"""A graph for onnxruntime that takes ids, a mask and a cache, so that it generates too; and its dynamic int8 form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.optimize.methods.folders import copy_companions
from simorgh_trainer.optimize.methods.likeness import TOLERANCE, compare_logits
from simorgh_trainer.optimize.runtimes import ONNX_FILE, OnnxRuntime, TransformersRuntime, load_model

_QUANTISED_NODE = "MatMulInteger"


def make(source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int) -> dict[str, Any]:
    """Write the graph in float32; its logits equal those of transformers."""
    del spec
    model = load_model(source)
    output.mkdir()
    export(model, output / ONNX_FILE)
    copy_companions(source, output)
    return compare_logits(TransformersRuntime(model, threads), OnnxRuntime(output, threads), ids, TOLERANCE)


def make_int8(source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int) -> dict[str, Any]:
    """Write the graph with the weights of its products in int8, activations quantised as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = output.with_name("float32")
    make(source, whole, spec, ids, threads)  # raises where the graph is not equal before it is quantised
    output.mkdir()
    quantize_dynamic(
        whole / ONNX_FILE,
        output / ONNX_FILE,
        op_types_to_quantize=["MatMul"],  # the embedding in int8 saves little and costs much
        per_channel=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
    )
    nodes = onnx.load(output / ONNX_FILE, load_external_data=False).graph.node
    num_quantised = sum(node.op_type == _QUANTISED_NODE for node in nodes)
    if not num_quantised:
        raise InvalidInputError("optimization_not_alike", reason="no product of it could be quantised")
    copy_companions(source, output)
    before, after = OnnxRuntime(whole, threads), OnnxRuntime(output, threads)
    return compare_logits(before, after, ids, None) | {"quantised_products": num_quantised}


def export(model: Any, path: Path) -> None:
    """Trace a call in the middle of an answer, every length free."""
    from transformers.exporters import OnnxConfig, OnnxExporter

    given = torch.arange(14).reshape(2, 7) % model.config.vocab_size
    with torch.inference_mode():
        cache = model(input_ids=given, use_cache=True).past_key_values
    inputs = {
        "input_ids": given[:, :5].clone(),
        "attention_mask": torch.ones(2, 12, dtype=torch.long),
        "past_key_values": cache,
    }
    program, _ = OnnxExporter().export_program(model, inputs, OnnxConfig(dynamic=True))
    OnnxExporter.save_program(program, path)
