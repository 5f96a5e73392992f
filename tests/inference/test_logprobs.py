"""The bytes of tokens: those of all tokens of a text are the text, whatever the kind of tokenizer (R-CHAT-1)."""

from pathlib import Path
from typing import Any

import pytest

from simorgh_inference.engine.logprobs import LEAST, Scores, TokenBytes

TEXT = "سلام دنیا، می‌روم  🐦‍🔥 birds"


def byte_level(model_folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_folder)


def sentencepiece_like(model_folder: Path) -> Any:
    """As Llama 2's: spaces are marked, and a character that it does not know is spelt in bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    del model_folder
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"سلامبirds"]
    vocabulary = {word: at for at, word in enumerate(words)}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


class TestTokenBytes:
    @pytest.mark.parametrize("make", [byte_level, sentencepiece_like])
    def test_they_make_the_text(self, make: Any, model_folder: Path) -> None:
        tokenizer = make(model_folder)
        bytes_of = TokenBytes(tokenizer)
        told = [bytes_of.of(token) for token in tokenizer(TEXT, add_special_tokens=False)["input_ids"]]
        assert b"".join(bytes(data or ()) for _, data in told).decode() == TEXT
        assert all(text is None or text.encode() == bytes(data or ()) for text, data in told)
        assert any(text is None for text, _ in told)

    def test_a_special_token_has_none(self, model_folder: Path) -> None:
        tokenizer = byte_level(model_folder)
        assert TokenBytes(tokenizer).of(tokenizer.eos_token_id) == ("<|end|>", None)

    def test_an_id_beyond_the_tokenizer_is_empty(self, model_folder: Path) -> None:
        assert TokenBytes(byte_level(model_folder)).of(100_000) == ("", [])


class TestScores:
    def test_what_is_held_back_waits(self, model_folder: Path) -> None:
        tokenizer = byte_level(model_folder)
        scores = Scores(TokenBytes(tokenizer))
        for at, token in enumerate(tokenizer("abc", add_special_tokens=False)["input_ids"]):
            scores.add(token, at, at + 1, float("-inf"), [(token, -1.0)])
        assert [one["at"] for one in scores.take(2)] == [0, 1]
        assert [(one["text"], one["logprob"]) for one in scores.rest()] == [("c", LEAST)]
        assert scores.rest() == []
