"""The format of models that come from elsewhere: their own chat template writes a conversation.

The template is rendered by transformers' sandbox. A special token inside a row's text is taken for the letters that
it is made of, as the serving engine takes it.
"""

import itertools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.training.data import Row
from simorgh_trainer.training.formats.row_format import ANSWERS, Encoded, with_labels

DEFAULT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""For a base that brings no chat template; the tuned model brings this one then."""
_MARK = re.compile("\ue000([0-9]+)\ue001")
"""Stands for a special token of a row's text while the template is rendered."""


@dataclass(frozen=True)
class _Written:
    """A row as the template writes it, and which of its characters are learnt."""

    text: str
    spans: Sequence[tuple[int, int]]


class ChatTemplate:
    """A tokenizer with its chat template."""

    def __init__(self, folder: Path) -> None:
        """Raises: InvalidInputError `base_model_unfit`."""
        try:
            self._chat: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise _unfit(f"its tokenizer cannot be read ({error})") from error
        if not self._chat.is_fast or self._chat.eos_token is None:
            raise _unfit("its tokenizer has no tokenizer.json with an end token")
        self.brings_template = bool(self._chat.chat_template)
        if not self.brings_template:
            self._chat.chat_template = DEFAULT_TEMPLATE
        self.tokenizer: Tokenizer = self._chat.backend_tokenizer
        self._ends = self._end_tokens(folder)
        special = [re.escape(token.content) for token in self._chat.added_tokens_decoder.values() if token.special]
        self._special = re.compile("|".join(sorted(special, key=len, reverse=True)) or "(?!)")

    @property
    def end_ids(self) -> Collection[int]:
        """The tokens that end an answer, as the model's generation settings name them."""
        return {int(self._chat.convert_tokens_to_ids(token)) for token in self._ends}

    def encode_all(self, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Every segment as a text of its own, closed by the end token, without the template: plain continued text."""
        end = int(self._chat.eos_token_id)
        for row in rows:
            ids = [token for _, text in row for token in (*self._ids(text, is_literal=True), end)]
            begin = self._chat.bos_token_id if self._chat.bos_token_id is not None else end
            yield with_labels([begin, *ids], [False, *[True] * len(ids)])

    def encode_answers(self, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Conversations with labels in the answers and the end tokens that close them.

        Raises: InvalidInputError `base_model_unfit` where the template cannot write a row.
        """
        for row in rows:
            written, kept = self._write(row)
            ids: list[int] = []
            learnt: list[bool] = []
            for start, piece, is_literal in _pieces(written.text, kept, written.spans):
                piece_ids = self._ids(piece, is_literal=is_literal)
                ids += piece_ids
                is_learnt = any(begin <= start < end for begin, end in written.spans)
                learnt += [is_learnt] * len(piece_ids)
            yield with_labels(ids, learnt)

    def prompt(self, row: Row) -> list[int]:
        """The ids that an answer to these segments follows."""
        messages, kept = self._marked(row)
        text = self._render(messages, prompts=True)
        pieces = _pieces(text, kept)
        return [token for _, piece, is_literal in pieces for token in self._ids(piece, is_literal=is_literal)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids without special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def save_template(self, folder: Path) -> None:
        """Write the template beside a tuned model whose base brings none."""
        if not self.brings_template:
            (folder / "chat_template.jinja").write_text(DEFAULT_TEMPLATE, encoding="utf-8")

    def _write(self, row: Row) -> tuple[_Written, Sequence[str]]:
        """The row as the template writes it, each answer from behind its prompt to the end token that closes it."""
        messages, kept = self._marked(row)
        answers = [place for place, message in enumerate(messages) if message["role"] == ANSWERS]
        text = self._render(messages[: answers[-1] + 1]) if answers else self._render(messages)
        spans = []
        for place in answers:
            prompt = self._render(messages[:place], prompts=True)
            upto = text if place == answers[-1] else self._render(messages[: place + 1])
            if not (upto.startswith(prompt) and text.startswith(upto)):
                continue  # some templates write an earlier answer otherwise than the newest: it is given, not learnt
            ends = [upto.rfind(token, len(prompt)) + len(token) for token in self._ends if token in upto[len(prompt) :]]
            if not ends and place == answers[-1]:
                text = upto = upto.rstrip() + str(self._chat.eos_token)
            spans.append((len(prompt), max(ends, default=len(upto))))
        if answers and not spans:
            raise _unfit("its chat template writes an answer otherwise than it prompts for one")
        return _Written(text, spans), kept

    def _marked(self, row: Row) -> tuple[list[dict[str, str]], Sequence[str]]:
        """The row as messages, special tokens in its text exchanged for marks; and what the marks stand for."""
        kept: list[str] = []

        def mark(match: "re.Match[str]") -> str:
            kept.append(match.group())
            return f"\ue000{len(kept) - 1}\ue001"

        return [{"role": role, "content": self._special.sub(mark, text)} for role, text in row], kept

    def _render(self, messages: list[dict[str, str]], *, prompts: bool = False) -> str:
        try:
            return str(self._chat.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompts))
        except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
            roles = ", ".join(message["role"] for message in messages)
            raise _unfit(f"its chat template refuses a row with the roles {roles} ({error})") from error

    def _ids(self, text: str, *, is_literal: bool) -> list[int]:
        self.tokenizer.encode_special_tokens = is_literal
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def _end_tokens(self, folder: Path) -> list[str]:
        """The tokenizer's end token and those that the generation settings name."""
        names = [str(self._chat.eos_token)]
        path = folder / "generation_config.json"
        if path.is_file():
            given = json.loads(path.read_bytes()).get("eos_token_id")
            for token_id in given if isinstance(given, list) else [given]:
                token = self._chat.convert_ids_to_tokens(token_id) if isinstance(token_id, int) else None
                if token and token not in names:
                    names.append(str(token))
        return names


def _pieces(text: str, kept: Sequence[str], spans: Sequence[tuple[int, int]] = ()) -> Iterator[tuple[int, str, bool]]:
    """Where each piece of a rendered text begins, the piece, and whether it is a special token taken literally.

    An answer is a piece of its own: no token reaches from the prompt into it, as none does when the model is served.
    """
    marks = {match.start(): match for match in _MARK.finditer(text) if int(match.group(1)) < len(kept)}
    cuts = {0, len(text), *(place for span in spans for place in span)}
    cuts |= {place for match in marks.values() for place in match.span()}
    places = sorted(cuts)
    for start, end in itertools.pairwise(places):
        mark = marks.get(start)
        yield start, kept[int(mark.group(1))] if mark else text[start:end], mark is not None


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError("base_model_unfit", reason=reason)
