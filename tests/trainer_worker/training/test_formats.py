"""How models from elsewhere write conversations: by their own template, with labels in the answers alone."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.training.data import Row
from simorgh_trainer.training.formats.chat_template import DEFAULT_TEMPLATE, ChatTemplate
from simorgh_trainer.training.packing import IGNORED
from tests.trainer_worker.training.foreign import CHATML, make_tokenizer

QUESTION, ANSWER = "کتاب چیست؟", "کتاب را همه می\u200cشناسند."
ROW: Row = (("user", QUESTION), ("assistant", ANSWER))


def chat_of(folder: Path, template: str | None = CHATML) -> ChatTemplate:
    make_tokenizer(template).save_pretrained(folder)
    return ChatTemplate(folder)


def learnt(chat: ChatTemplate, row: Row) -> str:
    """The text that a row's labels spell, special tokens too."""
    ((_, labels),) = chat.encode_answers([row])
    ids = [int(label) for label in labels if label != IGNORED]
    return str(chat.tokenizer.decode(ids, skip_special_tokens=False))


class TestEncodeAnswers:
    def test_ids_are_those_that_transformers_makes(self, tmp_path: Path) -> None:
        """R-TRAIN-3: the chat template of the base, to the token."""
        chat = chat_of(tmp_path)
        served = AutoTokenizer.from_pretrained(tmp_path)
        messages = [{"role": role, "content": text} for role, text in ROW]
        expected = served.apply_chat_template(messages, return_dict=True)["input_ids"]
        ((inputs, labels),) = chat.encode_answers([ROW])
        assert inputs.tolist() == expected[:-1]
        assert [label for label in labels if label != IGNORED] == [
            token for token, label in zip(expected[1:], labels, strict=True) if label != IGNORED
        ]

    def test_answer_and_its_end_are_learnt_and_nothing_else(self, tmp_path: Path) -> None:
        assert learnt(chat_of(tmp_path), ROW) == ANSWER + "<|im_end|>"

    def test_each_answer_of_a_conversation_is_learnt(self, tmp_path: Path) -> None:
        row: Row = (("system", "کوتاه بگو"), *ROW, ("user", "ماه؟"), ("assistant", "نزدیک است."))
        assert learnt(chat_of(tmp_path), row) == f"{ANSWER}<|im_end|>نزدیک است.<|im_end|>"

    def test_question_behind_the_last_answer_is_left_out(self, tmp_path: Path) -> None:
        row: Row = (*ROW, ("user", "ماه؟"))
        chat = chat_of(tmp_path)
        assert [a.tolist() for a, _ in chat.encode_answers([row])] == [
            a.tolist() for a, _ in chat.encode_answers([ROW])
        ]

    def test_special_token_in_a_text_is_the_letters_it_is_made_of(self, tmp_path: Path) -> None:
        chat = chat_of(tmp_path)
        end = chat.tokenizer.token_to_id("<|im_end|>")
        sly: Row = (("user", "a<|im_end|>b"), ("assistant", "x<|im_start|>y<|im_end|>z"))
        ((inputs, labels),) = chat.encode_answers([sly])
        plain: Row = (("user", "ab"), ("assistant", "xyz"))
        ((plain_inputs, _),) = chat.encode_answers([plain])
        assert inputs.tolist().count(end) == plain_inputs.tolist().count(end)
        assert learnt(chat, sly) == "x<|im_start|>y<|im_end|>z<|im_end|>"
        assert [label for label in labels if label != IGNORED].count(end) == 1

    def test_template_that_closes_no_answer_gets_an_end(self, tmp_path: Path) -> None:
        open_ended = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}"
        open_ended += "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
        assert learnt(chat_of(tmp_path, open_ended), ROW) == ANSWER + "<|im_end|>"

    def test_base_without_a_template_gets_ours(self, tmp_path: Path) -> None:
        chat = chat_of(tmp_path, None)
        assert learnt(chat, ROW) == ANSWER + "<|im_end|>"
        chat.save_template(tmp_path)
        assert AutoTokenizer.from_pretrained(tmp_path).chat_template == DEFAULT_TEMPLATE

    def test_template_that_refuses_a_row_is_told(self, tmp_path: Path) -> None:
        refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + CHATML
        with pytest.raises(InvalidInputError, match="no system here"):
            list(chat_of(tmp_path, refusing).encode_answers([(("system", "x"), *ROW)]))

    def test_template_that_prompts_unlike_it_writes_is_refused(self, tmp_path: Path) -> None:
        unlike = "{% if add_generation_prompt %}{{ 'other' }}{% endif %}" + CHATML
        with pytest.raises(InvalidInputError, match="otherwise than it prompts"):
            list(chat_of(tmp_path, unlike).encode_answers([ROW]))

    def test_no_token_reaches_from_the_prompt_into_the_answer(self, tmp_path: Path) -> None:
        """Served, the prompt is encoded alone: training must not see a token that holds the space before the answer."""
        spaced = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '<|im_end|>' }}{% endfor %}"
        spaced += "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
        chat = chat_of(tmp_path, spaced)
        prompt = chat.prompt(ROW[:1])
        ((inputs, _),) = chat.encode_answers([ROW])
        assert inputs[: len(prompt)].tolist() == prompt


class TestEncodeAll:
    def test_each_text_is_learnt_with_its_end(self, tmp_path: Path) -> None:
        chat = chat_of(tmp_path)
        ((inputs, labels),) = chat.encode_all([ROW])
        assert chat.tokenizer.decode(labels.tolist(), skip_special_tokens=False) == (
            f"{QUESTION}<|im_end|>{ANSWER}<|im_end|>"
        )
        assert inputs[0] == chat.tokenizer.token_to_id("<|im_start|>"), "the text begins as the tokenizer begins texts"


class TestPrompt:
    def test_prompt_is_what_serving_makes(self, tmp_path: Path) -> None:
        chat = chat_of(tmp_path)
        served = AutoTokenizer.from_pretrained(tmp_path)
        messages = [{"role": "user", "content": QUESTION}]
        expected = served.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert chat.prompt(ROW[:1]) == expected
