"""What every engine does alike with a request: its prompt, its room in the window, and its answer as tokens come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from simorgh_inference.engine import turns
from simorgh_inference.engine.logprobs import Scores, TokenBytes
from simorgh_inference.engine.prompt import PromptMaker
from simorgh_inference.engine.protocol import GenerateRequest, Piece, PromptRefusedError
from simorgh_inference.engine.text import TextStream

GREEDY_BELOW = 1e-5  # temperatures: logits divided by less overflow, and what cannot be drawn from ends the engine


@dataclass
class Answer:
    """One answer as it grows."""

    request: GenerateRequest
    prompt: list[int]
    limit: int
    stream: TextStream
    end_ids: frozenset[int]
    turns_cut: int
    scores: Scores | None = None
    num_new: int = 0
    _num_sent: int = 0

    def add(self, token: int, logprob: float = 0.0, top: Sequence[tuple[int, float]] = ()) -> Piece:
        """What this token brings; with `finish` where it is the last one."""
        before = self.stream.num_characters
        piece = self._grown(token)
        if self.scores is not None:
            self._num_sent += len(piece["text"])
            if token not in self.end_ids:
                self.scores.add(token, before, self.stream.num_characters, logprob, top)
            takes_back = self.stream.stopped or "finish" not in piece
            piece["logprobs"] = self.scores.take(self._num_sent) if takes_back else self.scores.rest()
        return piece

    def _grown(self, token: int) -> Piece:
        self.num_new += 1
        piece = Piece(id=self.request["id"], text="")
        if self.request["cut_turns"] and self.num_new == 1:
            piece["turns_cut"] = self.turns_cut
        if token in self.end_ids:
            piece["text"], piece["finish"] = self.stream.rest(), "stop"
        else:
            piece["text"] = self.stream.add(token)
            if self.stream.stopped:
                piece["finish"] = "stop"
            elif self.num_new >= self.limit:
                piece["text"] += self.stream.rest()
                piece["finish"] = "length"
        if "finish" in piece:
            piece["prompt_tokens"], piece["completion_tokens"] = len(self.prompt), self.num_new
        return piece


class Intake:
    """A tokenizer, its template, and the window of its model."""

    def __init__(self, tokenizer: Any, end_ids: Iterable[int | None], context_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._prompts = PromptMaker(tokenizer)
        self._token_bytes = TokenBytes(tokenizer)
        self._end_ids = frozenset(one for one in (*end_ids, tokenizer.eos_token_id) if one is not None)
        self.context_tokens = context_tokens

    def with_tokenizer(self, tokenizer: Any) -> "Intake":
        """The same window and ends for texts that another tokenizer and template make."""
        return Intake(tokenizer, self._end_ids, self.context_tokens)

    def take(self, request: GenerateRequest) -> Answer | Piece:
        """The answer that is to be made; a piece with the error where prompt and answer do not fit in the window.

        Raises: PromptRefusedError, or whatever the model's chat template raises.
        """
        prompt, turns_cut = self._prompt(request)
        room = self.context_tokens - len(prompt)
        wanted = request["max_tokens"]
        if room < 1 or (wanted or 0) > room:
            params = {"prompt_tokens": len(prompt), "max_tokens": wanted or 1, "context_tokens": self.context_tokens}
            return Piece(id=request["id"], finish="error", error={"code": "context_length_exceeded", "params": params})
        stream = TextStream(self._text, request["stop"])
        scores = Scores(self._token_bytes) if "logprobs" in request else None
        return Answer(request, prompt, min(wanted or room, room), stream, self._end_ids, turns_cut, scores)

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _prompt(self, request: GenerateRequest) -> tuple[list[int], int]:
        """The ids, and how many turns were left out. A request that names no limit keeps a quarter of the window."""
        if "prompt" in request:
            return self._plain(request["prompt"]), 0
        if not request["cut_turns"]:
            return self._prompts.encode(request["messages"]), 0
        answer_tokens = request["max_tokens"] or -(-self.context_tokens // 4)
        return turns.fit(request["messages"], self._prompts.encode, self.context_tokens - answer_tokens)

    def _plain(self, text: str) -> list[int]:
        """A text to go on with, without template: the tokenizer's own beginning, and no end."""
        ids = list(self._tokenizer(text)["input_ids"])
        if ids and ids[-1] == self._tokenizer.eos_token_id:
            ids.pop()
        begin = self._tokenizer.bos_token_id
        begin = self._tokenizer.eos_token_id if begin is None else begin
        if not ids and begin is None:
            raise PromptRefusedError("it is empty, and this model has no token to begin with")
        return ids or [begin]
