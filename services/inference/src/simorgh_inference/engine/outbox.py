"""Joins what some quick steps made, so that a client gets an event every few hundredths of a second and not every step.

A small model makes a step in 3 ms; an event for each token of each client costs the front more than the engine has left
of the machine. What somebody waits for is never held: a first token, an end, a refusal.
"""

from collections.abc import Callable, Sequence

from simorgh_inference.engine.protocol import Piece

HELD_S = 0.03
"""At most so long a token waits for the ones behind it."""


class Outbox:
    """Pieces on their way to the front."""

    def __init__(self, send: Callable[[list[Piece]], None], clock: Callable[[], float]) -> None:
        """`send` is given all that is due, for all requests together; `clock` tells seconds."""
        self._send = send
        self._clock = clock
        self._held: dict[str, Piece] = {}
        self._held_since = 0.0
        self._stepped_at = clock()
        self._begun: set[str] = set()
        """Requests whose first token was sent and whose last one was not."""

    def add(self, pieces: Sequence[Piece]) -> None:
        """Take what a step made. All goes out when one piece cannot wait, or would wait too long for the next step."""
        now = self._clock()
        step_s, self._stepped_at = now - self._stepped_at, now
        if not self._held:
            self._held_since = now
        is_due = False
        for piece in pieces:
            is_due = self._hold(piece) or is_due
        if is_due or now - self._held_since + step_s > HELD_S:
            self.flush()

    def forget(self, request_id: str) -> None:
        """Nobody waits for the rest of a request."""
        self._begun.discard(request_id)
        self._held.pop(request_id, None)

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            pieces, self._held = list(self._held.values()), {}
            self._send(pieces)

    def _hold(self, piece: Piece) -> bool:
        """Whether it cannot wait."""
        request_id = piece["id"]
        held = self._held.get(request_id)
        self._held[request_id] = piece if held is None else joined(held, piece)
        if "finish" in piece:
            self._begun.discard(request_id)
            return True
        is_first = request_id not in self._begun
        self._begun.add(request_id)
        return is_first


def joined(former: Piece, piece: Piece) -> Piece:
    """One piece with the tokens of both."""
    both = former | piece
    if "text" in former or "text" in piece:
        both["text"] = former.get("text", "") + piece.get("text", "")
        both["tokens"] = former.get("tokens", 1) + piece.get("tokens", 1)
    if "logprobs" in former or "logprobs" in piece:
        both["logprobs"] = former.get("logprobs", []) + piece.get("logprobs", [])
    if "vectors" in former and "vectors" in piece:
        both["vectors"] = former["vectors"] + piece["vectors"]
    return both
