"""Owns the chat prompt on the terminal."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout

from simorgh_cli.terminal.text import printable
from simorgh_shared.domain.errors import AppError

Ask = Callable[[str], Iterator[str]]
"""Gives the answer to what was said in pieces, as they come."""


class Conversation:
    """Reads a line, streams the answer, until Ctrl-D. Ctrl-C ends an answer that is on its way, or the chat."""

    def __init__(self, ask: Ask, write: Callable[[str], None]) -> None:
        self._ask, self._write = ask, write
        self._session: PromptSession[str] = PromptSession()
        self._closed = threading.Event()

    def run(self) -> bool:
        """Chat; True when it ended by Ctrl-C, False by Ctrl-D."""
        with patch_stdout():
            while not self._closed.is_set():
                try:
                    text = self._session.prompt("› ").strip()
                except EOFError:
                    return False
                except KeyboardInterrupt:
                    return True
                if text:
                    self._answer(text)
        return False

    def close(self) -> None:
        """Leave the prompt from another thread."""
        self._closed.set()
        app: Any = self._session.app
        if app.is_running and app.loop is not None:
            app.loop.call_soon_threadsafe(lambda: app.exit(exception=EOFError))

    def _answer(self, text: str) -> None:
        try:
            for piece in self._ask(text):
                self._write(printable(piece, keep="\n\t"))
            self._write("\n")
        except KeyboardInterrupt:
            self._write("\n")
        except AppError as error:
            self._write(f"{error}\n")
