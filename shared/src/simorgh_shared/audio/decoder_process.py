"""A process that forks a limited decoder for each file: numpy and PyAV are loaded once, a decoder costs a fork.

`python -m simorgh_shared.audio.decoder_process --control FD`: requests come over a socket of packets, each with the
descriptors of the file and of the pipe for its samples, and are answered by a descriptor of the decoder (pidfd).
It ends when the other side of the socket is closed, and its decoders with it.
"""

import argparse
import contextlib
import gc
import io
import json
import os
import signal
import socket
import struct
import wave
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NoReturn

from simorgh_shared.audio import sandbox
from simorgh_shared.audio.samples import SAMPLE_RATE, SoundFile
from simorgh_shared.domain.errors import AppError, TooLargeError

HEADER = struct.Struct("<cxxxI")
"""What stands before each message of a decoder: its kind, and how many bytes follow."""
HEAD, BLOCK, END, FAILURE = b"H", b"B", b"E", b"F"
_STALL_S = 30.0  # a second of sound takes a few milliseconds
_COUNT_EVERY_S = 600


def main() -> None:
    """Serve until the control socket is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", type=int, required=True)
    control = socket.socket(fileno=parser.parse_args().control)
    _warm_up()
    sandbox.leave_network()
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 65_536, 2)
        if not message:
            return
        _start_decoder(control, json.loads(message), *descriptors)


def _start_decoder(control: socket.socket, request: Mapping[str, Any], file_fd: int, pipe_fd: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # its number stays ours until it is known by descriptor
    server_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        control.close()
        _decode_and_exit(request, file_fd, pipe_fd, server_pid)
    decoder_fd = os.pidfd_open(pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    socket.send_fds(control, [b"started"], [decoder_fd])
    for descriptor in (file_fd, pipe_fd, decoder_fd):
        os.close(descriptor)


def _decode_and_exit(request: Mapping[str, Any], file_fd: int, pipe_fd: int, server_pid: int) -> NoReturn:
    code = 1
    with contextlib.suppress(BaseException):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        sandbox.leave_privileges()
        sandbox.end_with(server_pid)
        sandbox.limit_resources(sandbox.ResourceLimits(request["memory_bytes"], request["processor_s"]))
        sandbox.limit_system_calls()
        code = _decode(request, file_fd, pipe_fd)
    os._exit(code)


def _decode(request: Mapping[str, Any], file_fd: int, pipe_fd: int) -> int:
    """The messages of one file; between them a clock runs that ends a decoder which hangs."""
    try:
        _watch()
        sound = SoundFile(os.fdopen(file_fd, "rb", buffering=0))
        _send(pipe_fd, HEAD, json.dumps(asdict(sound.source)).encode())
        num_samples = _send_blocks(request, sound, pipe_fd)
    except MemoryError:
        failure = {"code": "audio_unreadable", "params": {"reason": "it asks for too much memory"}}
        _send(pipe_fd, FAILURE, json.dumps(failure).encode())
    except AppError as error:
        _send(pipe_fd, FAILURE, json.dumps({"code": error.code, "params": error.params}).encode())
    else:
        _send(pipe_fd, END, json.dumps({"num_samples": num_samples}).encode())
    return 0


def _send_blocks(request: Mapping[str, Any], sound: SoundFile, pipe_fd: int) -> int:
    start_sample, max_samples, only_count = request["start_sample"], request["max_samples"], request["only_count"]
    num_samples = num_told = 0
    for block in sound.blocks():
        passed_over = max(start_sample - num_samples, 0)
        num_samples += len(block)
        if num_samples > max_samples:
            raise TooLargeError("audio_too_long", limit_s=max_samples // SAMPLE_RATE)
        if only_count:
            if num_samples - num_told >= _COUNT_EVERY_S * SAMPLE_RATE:
                num_told = num_samples
                _send(pipe_fd, BLOCK, b"")
        elif passed_over < len(block):
            _send(pipe_fd, BLOCK, block[passed_over:].tobytes())
        _watch()
    return num_samples


def _watch() -> None:
    signal.setitimer(signal.ITIMER_REAL, _STALL_S)


def _send(pipe_fd: int, kind: bytes, payload: bytes) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)  # a slow reader is no fault of the file
    rest = memoryview(HEADER.pack(kind, len(payload)) + payload)
    while rest:
        rest = rest[os.write(pipe_fd, rest) :]


def _reap(signum: int, frame: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _warm_up() -> None:
    """Decode a little once, so that no decoder has to load a module: it could not open the file."""
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(8_000))
    memory.seek(0)
    list(SoundFile(memory).blocks())
    with contextlib.suppress(AppError):
        SoundFile(io.BytesIO(b"RIFF but no sound"))
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
