"""Runs the quick start beside the supervisor: the platform lives in the main thread, the journey in its own."""

import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from simorgh_cli.api import accounts, chats, datasets
from simorgh_cli.api.connection import Connection
from simorgh_cli.backing.secrets import SecretStore
from simorgh_cli.logfiles import tail
from simorgh_cli.platform import Platform, running_platform
from simorgh_cli.quickstart import journey
from simorgh_cli.terminal.conversation import Conversation
from simorgh_cli.terminal.output import say, write
from simorgh_cli.terminal.progress import make_display, on_terminal
from simorgh_shared.datasets.sample import SampleDataset, write_sample
from simorgh_shared.domain.errors import AppError

_LOGS_OF_INTEREST = ("trainer-cpu", "io", "inference", "api")


def quickstart(data_dir: Path, given: Mapping[str, str]) -> int:
    """Start the platform, train on the sample dataset, show what came of it; 0 when all went well."""
    with running_platform(data_dir, given, say) as platform:
        if platform.supervisor.stopping:
            return 1
        run = _Run(platform, terminal=on_terminal())
        run.thread.start()
        platform.supervisor.watch(until=lambda: not run.thread.is_alive())
        run.leave()
        if run.finished or run.error is None:
            return 0 if run.finished else 1
        _explain(run.error, platform.data_dir)
        return 1


class _Run:
    """The journey in a thread: children are started by the main thread, which supervises them meanwhile."""

    def __init__(self, platform: Platform, terminal: bool) -> None:
        self.platform, self.terminal = platform, terminal
        self.thread = threading.Thread(target=self._go, name="quickstart", daemon=True)
        self.finished = False
        self.error: Exception | None = None
        user = accounts.LocalUser(SecretStore(platform.data_dir / "secrets.json"))
        self._connection = Connection(platform.api_url, user)
        self._conversation: Conversation | None = None

    def leave(self) -> None:
        """End the chat prompt, so that the terminal is as it was."""
        if self._conversation is not None:
            self._conversation.close()
        self.thread.join(2.0)

    def _go(self) -> None:
        try:
            model = self._train_and_show()
            self.finished = True
            if self.terminal:
                self._talk(model)
        except (AppError, OSError, KeyError, ValueError) as error:
            if not self.platform.supervisor.stopping:
                self.error = error
        finally:
            self._connection.close()

    def _train_and_show(self) -> str:
        connection = self._connection
        say(f"The API is at {self.platform.api_url}, its documentation at {self.platform.api_url}/docs.")
        say(f"Signed in as {accounts.whoami(connection)['user']['email']}.")
        data = write_sample(self.platform.data_dir / "sample")
        dataset_id = _upload(connection, data)
        say(f"Uploaded the sample Persian dataset as {dataset_id}.")
        trained = journey.train(connection, dataset_id, make_display(say, self.terminal), say)
        figures = trained.figures
        if figures.total_steps and figures.step <= figures.total_steps - journey.TRAINING["logging_steps"]:
            say(f"Its {journey.TRAINING['max_minutes']} minutes are over: no more steps are made.")
        say(f"Trained in {trained.took_s:.0f} s: model {trained.model}.")
        lowest = figures.lowest_loss_per_char
        trigram = journey.trigram_loss(data)
        if lowest is not None:
            say(f"Lowest held-out loss: {lowest:.3f} nats a character (character trigram: {trigram:.3f}).")
        last = figures.values.get("eval_loss_per_char")
        if lowest is not None and last is not None and last > lowest:
            say(f"The model is that of the last step, which is at {last:.3f}.")
        recalled = journey.count_recalled(connection, trained.model, data)
        say(f"Of {journey.NUM_RECALLED} train questions, {recalled} were answered with an answer of theirs.")
        for question in journey.QUESTIONS:
            say(f"  {question}\n    {chats.complete(connection, trained.model, question)}")
        return trained.model

    def _talk(self, model: str) -> None:
        say("Talk to your model (Ctrl-D leaves the chat, Ctrl-C stops everything).")
        # Each question stands alone: so small a model was trained on single questions.
        self._conversation = Conversation(lambda text: chats.complete_streamed(self._connection, model, text), write)
        if self._conversation.run():
            return
        say(f"Simorgh stays up at {self.platform.api_url} (documentation: {self.platform.api_url}/docs).")
        say(f"The data is in {self.platform.data_dir}. Ctrl-C stops it.")
        self.platform.supervisor.wait_stop()


def _upload(connection: Connection, data: SampleDataset) -> str:
    files = {"dataset": data.train_path, "test": data.test_path}
    return str(datasets.upload(connection, files, {"name": "sample-fa"})["id"])


def _explain(error: Exception, data_dir: Path) -> None:
    sys.stderr.write(f"simorgh: the quick start did not finish: {error or type(error).__name__}\n")
    for name in _LOGS_OF_INTEREST:
        path = data_dir / "logs" / f"{name}.log"
        sys.stderr.write(f"--- the last lines of {path}\n{tail(path)}\n")
