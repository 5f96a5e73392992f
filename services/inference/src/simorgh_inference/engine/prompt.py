"""Makes token ids of messages: renders the chat template within limits, and keeps users' text from becoming special.

It must run in the process's main thread: only there can a signal end a template that computes for too long.
"""

import contextlib
import re
import resource
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from transformers.utils.chat_template_utils import mark_control_tokens

from simorgh_inference.engine.protocol import PromptRefusedError

DEFAULT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
"""For a model that brings no chat template: `role: content` a line, then `assistant:`."""
TEMPLATE_CPU_S = 2.0  # templates of released models take a millisecond for a hundred turns
TEMPLATE_BYTES = 512 << 20  # one line of a template can ask for more than the machine has
MOST_CHARACTERS = 4_000_000  # some million tokens, and 4 s in which the engine's other requests wait
_PROBE = [{"role": role, "content": "x"} for role in ("system", "user", "assistant", "user")]

Messages = Sequence[dict[str, str]]


class PromptMaker:
    """A tokenizer with its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        if not tokenizer.chat_template:
            tokenizer.chat_template = DEFAULT_TEMPLATE
        self._limit = _CpuLimit(TEMPLATE_CPU_S)
        longest_first = sorted(self._control_tokens(), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def encode(self, messages: Messages) -> list[int]:
        """The prompt's ids. They are transformers' own, but that a special token in a message's text is plain text.

        transformers marks such a text with private characters before rendering and encodes what is between them
        without special tokens. That is done only where there is something to mark: the marks part the text, and so may
        change the tokens beside them.

        Raises: PromptRefusedError, or whatever the template raises.
        """
        is_marked = any(self._control.search(value) for message in messages for value in message.values())
        text = self._render(mark_control_tokens(list(messages), self._control) if is_marked else messages)
        if len(text) > MOST_CHARACTERS:
            raise PromptRefusedError(f"it makes {len(text)} characters of them, and {MOST_CHARACTERS} are the limit")
        # The template writes the tokens at the beginning itself.
        told = self._tokenizer(text, add_special_tokens=False, sanitize_control_tokens=is_marked)
        if not told["input_ids"]:
            raise PromptRefusedError("it makes no text of them")
        return list(told["input_ids"])

    def _render(self, messages: Messages) -> str:
        try:
            with self._limit, _memory_limit(TEMPLATE_BYTES):
                return str(
                    self._tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
                )
        except _Expired:
            raise PromptRefusedError(f"it computes for more than {TEMPLATE_CPU_S:g} s") from None
        except MemoryError:
            raise PromptRefusedError(f"it needs more than {TEMPLATE_BYTES >> 20} MiB of memory") from None

    def _control_tokens(self) -> list[str]:
        """The special tokens, and those that the template writes: some models mark `<|user|>` as no special token."""
        added = [token for token in self._tokenizer.added_tokens_decoder.values() if token.content.strip()]
        written = str(self._tokenizer.chat_template)
        for probe in (_PROBE, _PROBE[1:]):  # some templates know no system message
            try:
                written += self._render(probe)
            except Exception:  # noqa: S112 - what it cannot render it tells each request
                continue
        return [token.content for token in added if token.special or token.content in written]


class _Expired(BaseException):
    """No Exception: Jinja's optimiser swallows those and computes the same again."""


class _CpuLimit:
    """Ends what runs in it after so much computing by this process: a machine that is busy with others refuses nobody.

    The handler stays for good, since a signal that is still on its way would end the process by the default one.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_armed = False
        signal.signal(signal.SIGPROF, self._expire)

    def __enter__(self) -> None:
        self._is_armed = True
        signal.signal(signal.SIGPROF, self._expire)  # each tokenizer of a process has a limit of its own
        signal.setitimer(signal.ITIMER_PROF, self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _expire(self, number: int, frame: object) -> None:
        del number, frame
        if self._is_armed:
            self._is_armed = False
            raise _Expired


@contextlib.contextmanager
def _memory_limit(more_bytes: int) -> Iterator[None]:
    """Lets this process have so much more address space than it has now, and MemoryError beyond. Its other threads
    have little to do meanwhile: engines compute in this one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most if soft == resource.RLIM_INFINITY else min(soft, most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
