"""Texts become vectors, by OpenAI's own client and real models: a decoder and an encoder (R-CHAT-1)."""

import base64
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.inference import CONTEXT_TOKENS, InferenceServer, answer, ask, refusal

TEXTS = ["سلام", "hello 🐦‍🔥", "می‌روم به خانه و برمی‌گردم"]


@pytest.fixture(scope="module")
def encoder_folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT that is pooled by its first token."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder") / "reader"
    shutil.copytree(model_folder, folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=270, hidden_size=24, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, initializer_range=0.4,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 24, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder))


@pytest.fixture(scope="module")
def sdk(server: InferenceServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def states(folder: Path, text: str) -> Any:
    """The last layer's states of a text, as transformers has them."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    given = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        return AutoModel.from_pretrained(folder, dtype=torch.float32).eval()(**given).last_hidden_state[0]


def unit(vector: Any) -> Any:
    """The same direction at length 1."""
    return pytest.approx((vector / vector.norm()).tolist(), abs=1e-5)


def post(server: InferenceServer, **fields: Any) -> httpx.Response:
    """A request, but for what the fields say."""
    return httpx.post(f"{server.url}/v1/embeddings", json={"model": "noise", "input": "a"} | fields, timeout=60)


def test_they_are_the_mean_of_the_states(sdk: openai.OpenAI, server: InferenceServer, model_folder: Path) -> None:
    """R-CHAT-1: of all texts in their order, beside each other as alone; as base64, which the client asks for."""
    given = sdk.embeddings.create(model="noise", input=TEXTS)
    assert [one.index for one in given.data] == [0, 1, 2]
    for text, one in zip(TEXTS, given.data, strict=True):
        assert one.embedding == unit(states(model_folder, text).mean(0))
    assert given.model == "noise"
    num_tokens = sum(len(states(model_folder, text)) for text in TEXTS)
    assert (given.usage.prompt_tokens, given.usage.total_tokens) == (num_tokens, num_tokens)
    floats = sdk.embeddings.create(model="noise", input=TEXTS[1], encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(given.data[1].embedding, abs=1e-5)
    assert server.loaded()["noise#embeddings"]["dimensions"] == 32


def test_ids_are_taken_as_they_are(sdk: openai.OpenAI, model_folder: Path) -> None:
    """R-CHAT-1: one text of them, or several; more texts than a step takes."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    texts = sdk.embeddings.create(model="noise", input=TEXTS * 12)
    assert len(texts.data) == 36
    several = sdk.embeddings.create(model="noise", input=ids * 12)
    for one, other in zip(several.data, texts.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-5)
    (one,) = sdk.embeddings.create(model="noise", input=ids[0]).data
    assert one.embedding == pytest.approx(texts.data[0].embedding, abs=1e-5)


def test_the_same_model_is_chatted_with(server: InferenceServer) -> None:
    """R-CHAT-4: by a child of its own; neither name leads to the other's work."""
    assert answer(server)
    listed = httpx.get(f"{server.url}/v1/models").json()["data"]
    assert [one["id"] for one in listed] == ["noise"]
    refusal(ask(server, model="noise#embeddings"), 404, "model_not_found")


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"dimensions": 8}, "invalid_parameter", "dimensions: 8 is not supported"),
        ({"encoding_format": "hex"}, "invalid_parameter", "encoding_format"),
        ({"input": ""}, "invalid_parameter", "input"),
        ({"input": []}, "invalid_parameter", "input"),
        ({"input": ["a", ""]}, "invalid_parameter", "input"),
        ({"input": [[1], []]}, "invalid_parameter", "input"),
        ({"input": [1, "a"]}, "invalid_parameter", "input"),
        ({"input": [999_999]}, "invalid_parameter", "input is [0]: the model knows the token ids 0 to "),
        ({"input": ["a"] * 2049}, "invalid_parameter", "input"),
        ({"input": ["a", "z" * (CONTEXT_TOKENS + 1)]}, "input_too_long", "number 1 of input has 2049 tokens"),
        ({"prompt": "a"}, "unknown_parameter", "Known parameters: model, input, encoding_format"),
    ],
)
def test_what_is_not_done_is_refused_by_its_name(
    server: InferenceServer, fields: dict[str, Any], code: str, says: str
) -> None:
    """R-CHAT-1."""
    assert says in refusal(post(server, **fields), 400, code)


def test_an_encoder_is_pooled_as_its_makers_say(encoder_folder: Path) -> None:
    """R-CHAT-1: padding beside a longer text changes nothing; another pooling is not put in place of theirs."""
    from simorgh_inference.engine.embedding_engine import EmbeddingEngine

    engine = EmbeddingEngine(encoder_folder)
    assert engine.add({"op": "embed", "id": "one", "inputs": list(TEXTS)}) is None
    assert engine.add({"op": "embed", "id": "gone", "inputs": list(TEXTS)}) is None
    engine.cancel("gone")
    (piece,) = engine.step()
    assert engine.is_idle
    for text, vector in zip(TEXTS, piece["vectors"], strict=True):
        assert list(struct.unpack("<24f", base64.b64decode(vector))) == unit(states(encoder_folder, text)[0])
    (encoder_folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(ValueError, match="pooled by pooling_mode_max_tokens"):
        EmbeddingEngine(encoder_folder)


@pytest.mark.parametrize(("name", "form"), [("model.onnx", "ONNX"), ("openvino_model.xml", "OpenVINO IR")])
def test_a_network_without_its_states_is_told_by_its_form(
    encoder_folder: Path, tmp_path: Path, name: str, form: str
) -> None:
    """R-CHAT-1: and not by a file of another form that it lacks."""
    from simorgh_inference.engine.embedding_engine import EmbeddingEngine

    folder = tmp_path / "model"
    shutil.copytree(encoder_folder, folder, ignore=shutil.ignore_patterns("1_Pooling"))
    (folder / name).touch()
    with pytest.raises(ValueError, match=f"it is kept as {form}"):
        EmbeddingEngine(folder)
