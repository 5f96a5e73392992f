"""The tokenizer: exact in both directions, kind to Persian, and the same as the one that serving loads."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from simorgh_trainer.training.formats.markers import Markers
from simorgh_trainer.training.methods.pretrain import encode_rows
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.model_folder import write_model
from simorgh_trainer.training.tokenizer import END, encode_texts, special_id, train_tokenizer

TEXTS = [
    "من می\u200cروم و کتاب\u200cهای خوب را می\u200cخوانم.",
    "  دو فاصله،\tیک زبانه\nو خط نو  ",
    "emoji 👩‍👩‍👧 and CAFÉ, ۱۲۳۴ and 5678!",
    "اَعراب و تشدید: مُحمّد",
    "<|end|> in a text is text, <|user|> too",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a tokenizer trained on the texts."""
    root = tmp_path_factory.mktemp("tokenizer")
    tokenizer = train_tokenizer(TEXTS * 3, 500)
    tokenizer.save(str(root / "tokenizer.json"))
    shape = ModelShape(16, 1, 2, 2, 16, tokenizer.get_vocab_size(), 64)
    weights = {name: parameter.detach() for name, parameter in Llama(shape).named_parameters()}
    write_model(root / "out", weights, shape, tokenizer, root / "tokenizer.json", {})
    return root / "out"


class TestTrainTokenizer:
    @pytest.mark.parametrize("text", [*TEXTS, "هرگز ندیده‌ام این را: ژاژخایی", "\u200c", ""])
    def test_roundtrip_is_exact(self, text: str) -> None:
        tokenizer = train_tokenizer(TEXTS, 400)
        (ids,) = encode_texts(tokenizer, [text])
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        assert special_id(tokenizer, END) not in ids

    def test_word_with_zwnj_becomes_one_token(self) -> None:
        tokenizer = train_tokenizer(["می\u200cروم می\u200cروم"] * 5, 400)
        assert len(encode_texts(tokenizer, ["می\u200cروم"])[0]) == 1

    def test_same_texts_same_tokenizer(self) -> None:
        assert train_tokenizer(TEXTS, 450).to_str() == train_tokenizer(TEXTS, 450).to_str()


class TestChatTemplate:
    def test_serving_sees_what_training_saw(self, folder: Path) -> None:
        """Prompt and answer through the template are the very ids of the training sample."""
        served = AutoTokenizer.from_pretrained(folder)
        trained = train_tokenizer(TEXTS * 3, 500)
        question, answer = "کتاب\u200cهای  خوب؟", "می\u200cخوانم. ۱۲"
        sample = encode_rows([(("user", question), ("assistant", answer))], Markers(trained), 1_000)
        messages = [{"role": "user", "content": question}]
        prompt = served.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        turns = [*messages, {"role": "assistant", "content": answer}]
        whole = served.apply_chat_template(turns, return_dict=True)["input_ids"]
        assert whole == [*sample.inputs.tolist(), special_id(trained, END)]
        assert whole[: len(prompt)] == prompt
        assert served.decode(whole[len(prompt) :], skip_special_tokens=True) == answer
        assert served.eos_token == END
