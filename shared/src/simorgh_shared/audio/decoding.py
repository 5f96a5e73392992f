"""Sound out of strangers' files as a stream of 16 kHz mono blocks, decoded in a limited process.

Memory does not grow with the file: a decoder runs ahead by what the pipe holds.
"""

import fcntl
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from simorgh_shared.audio.decoder_process import BLOCK, END, FAILURE, HEAD, HEADER
from simorgh_shared.audio.samples import SAMPLE_RATE, Samples, SoundSource
from simorgh_shared.domain.errors import AppError, InvalidInputError, TooLargeError, UnsupportedError
from simorgh_shared.spawning import torch_child_environment

_REFUSALS: Mapping[str, type[AppError]] = {
    "audio_too_long": TooLargeError,
    "audio_not_audio": UnsupportedError,
    "audio_empty": InvalidInputError,
    "audio_unreadable": InvalidInputError,
}
_PIPE_BYTES = 1 << 20  # 16 s of sound, and what the kernel gives anybody
_F_SETPIPE_SZ = 1031
_SILENT_S = 60.0  # twice what a decoder gives itself
_START_S = 60.0


@dataclass(frozen=True)
class DecodingLimits:
    """What the decoder of one file may use."""

    memory_bytes: int = 512 << 20
    processor_s_of_hour: float = 180.0
    """A twentieth of the sound; the slowest codec takes a hundredth here."""
    processor_s_at_least: float = 30.0
    silent_s: float = _SILENT_S


class Decoding:
    """The blocks of one file as they are decoded. Close it: that ends the decoder."""

    def __init__(self, pipe_fd: int, decoder_fd: int, limits: DecodingLimits) -> None:
        self._pipe = os.fdopen(pipe_fd, "rb", buffering=0)
        self._decoder_fd = decoder_fd
        self._limits = limits
        self.num_samples: int | None = None
        """How many samples the file has, from its start; known at its end."""
        try:
            self.source = SoundSource(**json.loads(self._receive_head()))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Samples]:
        """Raises: InvalidInputError (audio_unreadable, audio_empty), TooLargeError (audio_too_long)."""
        while self.num_samples is None:
            kind, payload = self._receive()
            if kind == END:
                self.num_samples = json.loads(payload)["num_samples"]
            else:
                yield np.frombuffer(payload, np.float32)

    def close(self) -> None:
        """End the decoder; harmless when it has ended."""
        if self._decoder_fd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._decoder_fd, signal.SIGKILL)
            os.close(self._decoder_fd)
            self._decoder_fd = -1
            self._pipe.close()

    def _receive_head(self) -> bytes:
        kind, payload = self._receive()
        assert kind == HEAD
        return payload

    def _receive(self) -> tuple[bytes, bytes]:
        kind, num_bytes = HEADER.unpack(self._read(HEADER.size))
        if kind not in (HEAD, BLOCK, END, FAILURE) or num_bytes > _PIPE_BYTES << 2:
            raise InvalidInputError("audio_unreadable", reason="the decoder was led astray")
        payload = self._read(num_bytes)
        if kind == FAILURE:
            failure = json.loads(payload)
            raise _REFUSALS[failure["code"]](failure["code"], **failure["params"])
        return kind, payload

    def _read(self, num_bytes: int) -> bytes:
        """Raises: InvalidInputError (audio_unreadable) where the decoder ended or said nothing for long."""
        parts: list[bytes] = []
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while num_bytes:
            if not poll.poll(self._limits.silent_s * 1_000):
                raise InvalidInputError("audio_unreadable", reason="decoding it does not come to an end")
            part = self._pipe.read(num_bytes)
            if not part:
                raise InvalidInputError("audio_unreadable", reason="decoding it broke its limits")
            parts.append(part)
            num_bytes -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Decoder:
    """Decodes files, each in a limited process of its own; may be used from several threads."""

    def __init__(self, limits: DecodingLimits | None = None) -> None:
        self._limits = limits or DecodingLimits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the process that forks decoders, so that the first file does not wait for it."""
        with self._lock:
            self._started()

    def decode(self, path: Path, *, max_audio_s: float, start_sample: int = 0) -> Decoding:
        """Decode a file from one of its samples at 16 kHz on; its start has been read when this returns.

        Raises: UnsupportedError (audio_not_audio), InvalidInputError (audio_unreadable, audio_empty).
        """
        return self._decode(path, max_audio_s, start_sample, only_count=False)

    def measure_s(self, path: Path, *, max_audio_s: float) -> float:
        """How long a file is: all of it is decoded, and no header believed.

        Raises: as `decode`, TooLargeError (audio_too_long).
        """
        with self._decode(path, max_audio_s, 0, only_count=True) as decoding:
            for _ in decoding:
                pass
            assert decoding.num_samples is not None
            return decoding.num_samples / SAMPLE_RATE

    def close(self) -> None:
        """End the process and all its decoders."""
        with self._lock:
            self._stop()

    def _decode(self, path: Path, max_audio_s: float, start_sample: int, *, only_count: bool) -> Decoding:
        limits = self._limits
        request = {
            "start_sample": start_sample,
            "max_samples": round(max_audio_s * SAMPLE_RATE),
            "only_count": only_count,
            "memory_bytes": limits.memory_bytes,
            "processor_s": round(limits.processor_s_at_least + limits.processor_s_of_hour * max_audio_s / 3_600),
        }
        with path.open("rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnsupportedError("audio_not_audio")
            reading_fd, writing_fd = os.pipe()
            try:
                with suppress(OSError):
                    _widen(writing_fd)
                decoder_fd = self._ask(json.dumps(request).encode(), [file.fileno(), writing_fd])
            except BaseException:
                os.close(reading_fd)
                raise
            finally:
                os.close(writing_fd)
        return Decoding(reading_fd, decoder_fd, limits)

    def _ask(self, request: bytes, descriptors: list[int]) -> int:
        with self._lock:
            for _ in range(2):  # a process that has died meanwhile is started anew
                control = self._started()
                try:
                    socket.send_fds(control, [request], descriptors)
                    _, received, _, _ = socket.recv_fds(control, 64, 1)
                except OSError:
                    received = []
                if received:
                    return received[0]
                self._stop()
        raise ChildProcessError("the process of the decoders does not stay up")

    def _started(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.settimeout(_START_S)
            with closing(theirs):
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "simorgh_shared.audio.decoder_process", "--control", str(theirs.fileno())],
                    env=_environment(os.environ),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            self._control = ours
        return self._control

    def _stop(self) -> None:
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.kill()
            self._process.wait()
            self._control = self._process = None


def _environment(own: Mapping[str, str]) -> dict[str, Any]:
    return torch_child_environment(own) | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # it forks


def _widen(pipe_fd: int) -> None:
    fcntl.fcntl(pipe_fd, _F_SETPIPE_SZ, _PIPE_BYTES)
