"""Clips for tests, made anew: a tone in each format, and archives of them."""

import io
import json
import tarfile
import wave
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np


def wav(seconds: float = 0.5, rate: int = 16_000, channels: int = 1, pitch: int = 20) -> bytes:
    """A tone as WAV."""
    wave_T = (np.sin(np.arange(round(rate * seconds)) / pitch) * 8_000).astype("<i2")
    sink = io.BytesIO()
    with wave.open(sink, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.repeat(wave_T, channels).tobytes())
    return sink.getvalue()


def encoded(folder: Path, container: str, codec: str, rate: int = 48_000, seconds: float = 1.0) -> bytes:
    """A tone in another format."""
    path = folder / f"tone.{container}"
    samples = (np.sin(np.arange(round(rate * seconds)) / 20) * 8_000).astype("int16")
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return path.read_bytes()


def metadata(*rows: Mapping[str, Any]) -> bytes:
    """Lines of metadata."""
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of files."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return sink.getvalue()


def tarred(files: Mapping[str, bytes | tarfile.TarInfo], mode: str = "w") -> bytes:
    """A tar of files; a TarInfo is taken as it is."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                archive.addfile(data)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()
