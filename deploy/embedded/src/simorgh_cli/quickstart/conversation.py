"""Owns the chat prompt on the terminal."""

import threading
from collections.abc import Callable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout

from simorgh_cli.quickstart.client import ApiClient
from simorgh_shared.domain.errors import AppError


class Conversation:
    """Reads a line, streams the answer, until Ctrl-D. Each question stands alone: so small a model was
    trained on single questions."""

    def __init__(self, client: ApiClient, model: str, write: Callable[[str], None]) -> None:
        self._client, self._model, self._write = client, model, write
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
            for piece in self._client.ask_streamed(self._model, [{"role": "user", "content": text}]):
                self._write(piece)
            self._write("\n")
        except AppError as error:
            self._write(f"{error}\n")
