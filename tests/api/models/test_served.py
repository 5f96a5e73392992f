"""A model that was sent is chatted with, or refused in a sentence where no engine can (R-MODEL-1)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import BertConfig, BertForMaskedLM

from tests.api.chat.conftest import world
from tests.api.chat.world import World, ok
from tests.support import model_files
from tests.support.gateway import Account

__all__ = ["world"]
_SHORT = {"messages": [{"role": "user", "content": "سلام"}], "max_tokens": 2}


@pytest.fixture(scope="module")
def owner(world: World, sign_up: Callable[[], Account]) -> Account:
    return sign_up()


@pytest.fixture(scope="module")
def tiny(model_folder: Path) -> dict[str, bytes]:
    """The files of a model that says noise: less than the gateway of the tests takes in one request."""
    return {path.name: path.read_bytes() for path in model_folder.iterdir()}


def send(account: Account, name: str, files: Mapping[str, bytes]) -> None:
    parts = [("files", (path, body, "application/octet-stream")) for path, body in files.items()]
    ok(account.client.post("/api/models/upload", files=parts, data={"name": name}, timeout=60))


def ask(account: Account, model: str) -> httpx.Response:
    return account.client.post("/v1/chat/completions", json={"model": model} | _SHORT, timeout=60)


class TestChat:
    def test_a_model_that_was_sent_answers(self, owner: Account, tiny: dict[str, bytes]) -> None:
        """R-MODEL-1, R-CHAT-1: by the name that it was given."""
        send(owner, "sent", tiny)
        assert ask(owner, "sent").json()["usage"]["completion_tokens"] == 2

    def test_weights_by_themselves_are_refused_in_a_sentence(self, owner: Account) -> None:
        """R-MODEL-1: 400, which no client tries again."""
        send(owner, "llama.cpp", {"model.gguf": model_files.gguf()})
        answer = ask(owner, "llama.cpp")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_unservable")
        assert "its weights lie without the config.json and the tokenizer" in answer.json()["error"]["message"]

    def test_an_encoder_is_refused_though_a_loader_takes_it(self, owner: Account, tmp_path: Path) -> None:
        """R-MODEL-1: BERT's weights load as a causal model too, and answer with noise."""
        config = BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
        config.intermediate_size = 16
        BertForMaskedLM(config).save_pretrained(tmp_path)
        (tmp_path / "tokenizer.json").write_text(Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]")).to_str())
        send(owner, "bert", {path.name: path.read_bytes() for path in tmp_path.iterdir()})
        answer = ask(owner, "bert")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_unservable"), answer.text
        assert "BertForMaskedLM, which does not go on with a text" in answer.json()["error"]["message"]

    def test_another_architecture_is_refused_in_a_sentence_and_remembered(
        self, owner: Account, world: World, tiny: dict[str, bytes]
    ) -> None:
        """R-MODEL-1: what transformers cannot load costs one start of an engine, and no crash."""
        config = json.dumps({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}).encode()
        send(owner, "encoder", tiny | {"config.json": config})
        for _ in range(2):
            answer = ask(owner, "encoder")
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_unservable"), answer.text
            assert "T5ForConditionalGeneration, which does not go on with a text" in answer.json()["error"]["message"]
            assert str(world.engine.folder) not in answer.text

    def test_weights_that_do_not_fit_are_refused(self, owner: Account, tiny: dict[str, bytes]) -> None:
        """R-MODEL-1: a model never speaks with weights that were drawn at random because they were missing."""
        weights = model_files.safetensors({"model.embed_tokens.weight": [270, 32]})
        send(owner, "hollow", tiny | {"model.safetensors": weights})
        answer = ask(owner, "hollow")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_unservable"), answer.text

    def test_the_newest_model_that_can_answer_is_asked(self, owner: Account, tiny: dict[str, bytes]) -> None:
        """R-CHAT-2: a chat that names no model does not meet a GGUF file."""
        send(owner, "answers", tiny | {"more.json": b"{}"})
        send(owner, "cannot", {"model.gguf": model_files.gguf()})
        assert owner.client.post("/api/chat", json={"message": "سلام", "max_tokens": 2}, timeout=60).status_code == 200
