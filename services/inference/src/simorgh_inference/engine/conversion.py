"""Converts one model for OpenVINO in a process of its own, and compares what it says with transformers.

`python -m simorgh_inference.engine.conversion --model-dir DIR --target DIR --weights f32`. The target appears with
`conversion.json`, which says how it was made, or why it cannot be: `{"unfit": reason}`.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from simorgh_shared.child.entry import die_with_parent
from simorgh_shared.openvino_ir.precision import MODEL_FILE

RECORD = "conversion.json"
REVISION = 1
"""Of this exporter: what an older one made is made anew."""
_CLOSE = 1e-3  # logits nearer than this may change places between two ways to add up
_NUM_NEW = 24
_NICE = 10  # the answers that people wait for meanwhile go first
_LENGTHS = (1, 7, 33, 90)


def main() -> int:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--weights", choices=("f32", "int8"), required=True)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    die_with_parent()
    os.nice(_NICE)
    arguments.target.mkdir(parents=True, exist_ok=True)
    record = _convert(arguments.model_dir, arguments.target, arguments.weights)
    (arguments.target / RECORD).write_text(json.dumps(record, ensure_ascii=False))
    return 0


def _convert(folder: Path, target: Path, weights: str) -> dict[str, Any]:
    import openvino  # after the environment is set: they bring torch
    import torch

    from simorgh_inference.engine.transformers_engine import load_whole
    from simorgh_shared.openvino_ir.export import export

    model = load_whole(folder).eval()
    torch.manual_seed(0)
    prompts = [torch.randint(model.config.vocab_size, (length,)).tolist() for length in _LENGTHS]
    expected = [_greedy(model, prompt) for prompt in prompts]
    exported = export(model)
    openvino.save_model(exported, str(target / MODEL_FILE), compress_to_fp16=False)
    for prompt, (ids, gaps), given in zip(prompts, expected, _converted_greedy(target, prompts), strict=True):
        at = first_difference(ids, gaps, given)
        if at is not None:
            return {"unfit": f"converted, it goes on otherwise after {at} tokens of a prompt of {len(prompt)}"}
    if weights == "int8":
        import nncf

        mode = nncf.CompressWeightsMode.INT8_ASYM
        compressed = nncf.compress_weights(exported, mode=mode)
        openvino.save_model(compressed, str(target / MODEL_FILE), compress_to_fp16=False)
    return _record(folder, target, weights)


def first_difference(ids: Sequence[int], gaps: Sequence[float], given: Sequence[int]) -> int | None:
    """Where the answers part, unless two tokens were as good as equal up to there. None: nowhere."""
    for at, (one, gap) in enumerate(zip(ids, gaps, strict=True)):
        if gap < _CLOSE:
            return None
        if at >= len(given) or given[at] != one:
            return at
    return None


def _greedy(model: Any, prompt: list[int]) -> tuple[list[int], list[float]]:
    """The reference's tokens, and by how much each was the best."""
    import torch

    ids, gaps, past, new = [], [], None, prompt
    with torch.inference_mode():
        for _ in range(_NUM_NEW):
            output = model(input_ids=torch.tensor([new]), past_key_values=past, use_cache=True)
            best = output.logits[0, -1].topk(2)
            past, new = output.past_key_values, [int(best.indices[0])]
            ids.append(new[0])
            gaps.append(float(best.values[0] - best.values[1]))
    return ids, gaps


def _converted_greedy(target: Path, prompts: Sequence[list[int]]) -> list[list[int]]:
    """All prompts in one batch, as they will be served."""
    from simorgh_inference.engine import openvino_pipeline

    num_blocks = sum(len(prompt) + _NUM_NEW for prompt in prompts) // openvino_pipeline.BLOCK_TOKENS + 2 * len(prompts)
    pipeline = openvino_pipeline.load(target, "f32", num_blocks, len(prompts))
    handles = [openvino_pipeline.add(pipeline, at, prompt, _NUM_NEW) for at, prompt in enumerate(prompts)]
    given: list[list[int]] = [[] for _ in handles]
    while pipeline.has_non_finished_requests():
        pipeline.step()
        for ids, handle in zip(given, handles, strict=True):
            ids.extend(openvino_pipeline.read(handle))
    return given


def _record(folder: Path, target: Path, weights: str) -> dict[str, Any]:
    return {
        "weights": weights,
        "revision": REVISION,
        "openvino": version("openvino"),
        "made_of": {path.name: _sha256(path) for path in sorted(folder.glob("*.safetensors"))},
        "files": {path.name: _sha256(path) for path in sorted(target.glob("openvino_model.*"))},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
