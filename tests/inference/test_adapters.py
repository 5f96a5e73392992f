"""Adapters share the engine of their base: at once, each as if it were alone (R-CHAT-4)."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from simorgh_inference.engine.adapter_folders import is_shareable
from simorgh_inference.engine.transformers_engine import TransformersEngine

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # that is how peft asks
_NUM_NEW = 16
_PROMPT = "سلام thirty birds"


def make_adapter(base: Path, folder: Path, seed: int, rank: int = 4, **settings: Any) -> Path:
    """An adapter of random weights that changes what its base says, with the base in its folder."""
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=32, target_modules=["q_proj", "v_proj", "down_proj"], **settings)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder)
    for path in (*folder.glob("README.md"),):
        path.unlink()
    shutil.copytree(base, folder / "base")
    return folder


@pytest.fixture(scope="module")
def folders(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two adapters, one much larger."""
    place = tmp_path_factory.mktemp("adapters")
    return {
        name: make_adapter(model_folder, place / name, seed, rank) for name, seed, rank in (("a", 1, 4), ("b", 2, 64))
    }


@pytest.fixture
def engine(model_folder: Path) -> TransformersEngine:
    return TransformersEngine(model_folder)


def request(number: int, adapter: tuple[str, Path] | None = None, **fields: Any) -> Any:
    told = {} if adapter is None else {"adapter": {"name": adapter[0], "folder": str(adapter[1])}}
    asked = {"op": "generate", "id": str(number), "messages": [], "prompt": _PROMPT, "max_tokens": _NUM_NEW}
    return asked | {"temperature": 0.0, "top_p": 1.0, "seed": 1, "stop": [], "cut_turns": False} | told | fields


def texts(engine: TransformersEngine, requests: Sequence[Any]) -> list[str]:
    """What is answered when they all come at once."""
    found = {one["id"]: "" for one in requests}
    for one in requests:
        assert engine.add(one) is None
    while not engine.is_idle:
        for piece in engine.step():
            found[piece["id"]] += piece.get("text", "")
    return list(found.values())


def alone(base: Path, adapter: Path | None) -> str:
    """What PEFT says with one adapter on the base."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    ids = tokenizer(_PROMPT, return_tensors="pt")["input_ids"]
    made = model.eval().generate(input_ids=ids, do_sample=False, max_new_tokens=_NUM_NEW)
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)).rstrip("\ufffd")


class TestEngine:
    def test_several_at_once_say_what_each_says_alone(
        self, engine: TransformersEngine, model_folder: Path, folders: dict[str, Path]
    ) -> None:
        """R-CHAT-4: the base too, before, beside and after them."""
        wanted = [alone(model_folder, folder) for folder in (None, folders["a"], folders["b"])]
        assert len(set(wanted)) == 3
        kinds = [None, ("a", folders["a"]), ("b", folders["b"])]
        for _ in range(2):
            given = texts(engine, [request(number, kinds[number % 3]) for number in range(6)])
            assert [text.rstrip("\ufffd") for text in given] == wanted * 2
        assert texts(engine, [request(9)])[0].rstrip("\ufffd") == wanted[0]

    def test_each_goes_on_with_each_step(self, engine: TransformersEngine, folders: dict[str, Path]) -> None:
        """R-CHAT-4: a slow adapter costs its own step, and the base has one between two of its."""
        for number, kind in enumerate((("b", folders["b"]), None, ("a", folders["a"]))):
            engine.add(request(number, kind))
        for _ in range(_NUM_NEW - 1):
            assert [piece["id"] for piece in engine.step()] == ["0", "1", "2"]

    @pytest.mark.parametrize(
        ("harm", "says"),
        [
            (lambda name, tensor: (name, tensor[:, :-1].contiguous()), "and its base needs"),
            (lambda name, tensor: (name.replace("layers.0", "layers.9"), tensor), "no linear layer of its base"),
            (lambda name, tensor: (name.replace("lora_A", "lora_C"), tensor), "lora_B and lora_C alone"),
        ],
    )
    def test_one_that_does_not_fit_is_refused(
        self,
        engine: TransformersEngine,
        folders: dict[str, Path],
        tmp_path: Path,
        harm: Callable[[str, torch.Tensor], tuple[str, torch.Tensor]],
        says: str,
    ) -> None:
        """R-CHAT-4: with what is wrong, each time, and nothing else is harmed."""
        folder = shutil.copytree(folders["a"], tmp_path / "harmed", ignore=shutil.ignore_patterns("base"))
        weights = load_file(folder / "adapter_model.safetensors")
        save_file(dict(harm(*item) for item in weights.items()), folder / "adapter_model.safetensors")
        for _ in range(2):
            refused = engine.add(request(1, ("harmed", folder)))
            assert refused is not None
            assert refused["error"]["code"] == "model_unservable"
            assert says in refused["error"]["params"]["reason"]
        assert len(texts(engine, [request(2), request(3, ("a", folders["a"]))])) == 2


class TestIsShareable:
    def test_plain_ones_are(self, folders: dict[str, Path]) -> None:
        assert all(is_shareable(folder) for folder in folders.values())

    @pytest.mark.parametrize(
        "changes", [{"use_dora": True}, {"bias": "all"}, {"peft_type": "IA3"}, {"modules_to_save": ["lm_head"]}]
    )
    def test_others_are_merged(self, folders: dict[str, Path], tmp_path: Path, changes: dict[str, Any]) -> None:
        folder = shutil.copytree(folders["a"], tmp_path / "other")
        config = json.loads((folder / "adapter_config.json").read_bytes())
        (folder / "adapter_config.json").write_text(json.dumps(config | changes))
        assert not is_shareable(folder)

    def test_one_without_its_base_is_not(self, folders: dict[str, Path], tmp_path: Path) -> None:
        assert not is_shareable(shutil.copytree(folders["a"], tmp_path / "x", ignore=shutil.ignore_patterns("base")))
