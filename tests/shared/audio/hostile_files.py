"""Files that strangers may send for sound, made here: name, bytes, and what is to become of them."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tests.support.sound import browser_webm, encoded, pcm16, safari_mp4, tone, video_alone, wav

EMPTY, DAMAGED, FOREIGN, LONG = "audio_empty", "audio_unreadable", "audio_not_audio", "audio_too_long"
REFUSED = (EMPTY, DAMAGED, FOREIGN)


@dataclass(frozen=True)
class Hostile:
    """One file. Either one of `codes` refuses it, or it is heard and lasts between `heard_s`, or both may be."""

    name: str
    make: Callable[[str, int], bytes]
    """Of the canary's path and the canary's port."""
    codes: tuple[str, ...] = ()
    heard_s: tuple[float, float] | None = None


def hostile_files() -> Iterator[Hostile]:
    """The whole table."""
    yield from _no_sound()
    yield from _playlists()
    yield from _headers_that_lie()
    yield from _cut_and_damaged()
    yield from _odd_but_right()


def _no_sound() -> Iterator[Hostile]:
    rng = random.Random(1)
    sounds = {
        "empty": b"",
        "one byte": b"R",
        "zeros": bytes(1_000),
        "many zeros": bytes(1_000_000),
        "a few random bytes": rng.randbytes(10),
        "random bytes": rng.randbytes(1_000),
        "many random bytes": rng.randbytes(1_000_000),
        "plain text": b"Once upon a time there was a bird. " * 100,
        "Persian text": "یکی بود یکی نبود. ".encode() * 100,
        "HTML": b"<!doctype html><html><audio src='file:///etc/passwd'></audio></html>",
        "JSON": b'{"file": "/etc/passwd"}' * 50,
        "a script": b"#!/bin/sh\ncat /etc/passwd\n",
        "an ELF program": b"\x7fELF\x02\x01\x01" + bytes(500),
        "PDF": b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\n" * 20,
        "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + rng.randbytes(500),
        "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + rng.randbytes(500),
        "GIF": b"GIF89a" + rng.randbytes(500),
        "a pickle": b"\x80\x04\x95\x1e\x00\x00\x00cposix\nsystem\n(X\x02\x00\x00\x00idtR.",
        "gzip": gzip.compress(wav(pcm16(tone(1)))),
        "zip": _zipped(),
        "tar": _tarred(),
        "MIDI": b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00`MTrk" + bytes(100),
        "an AVI": b"RIFF\x24\x00\x00\x00AVI LIST" + bytes(200),
        "an ID3 tag alone": b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10),
        "an ID3 tag of 256 MB": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(1_000),
        "an EBML head and noise": b"\x1a\x45\xdf\xa3" + rng.randbytes(5_000),
        "an Ogg head and noise": b"OggS\x00\x02" + rng.randbytes(5_000),
        "a FLAC head and noise": b"fLaC" + rng.randbytes(5_000),
        "an ADTS head and noise": b"\xff\xf1\x50\x80" + rng.randbytes(5_000),
        "an MP3 head and noise": b"\xff\xfb\x90\x00" + rng.randbytes(5_000),
        "an mp4 head and noise": b"\x00\x00\x00\x18ftypM4A " + rng.randbytes(5_000),
    }
    for name, data in sounds.items():
        yield Hostile(name, lambda path, port, data=data: data, REFUSED)  # type: ignore[misc]
    yield Hostile("a film without sound", lambda path, port: video_alone(), (DAMAGED,))


def _playlists() -> Iterator[Hostile]:
    texts = {
        "m3u of a file": "#EXTM3U\n#EXTINF:5,\n{path}\n",
        "HLS of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "HLS of a host": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
        "HLS with a key elsewhere": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:{port}/k"\n#EXTINF:5,\na.ts\n',
        "HLS of HLS": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nconcat:http://127.0.0.1:{port}/x|file://{path}\n",
        "HLS behind an ID3 tag": "ID3\x04\0\0\0\0\0\0#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{path}\n",
        "concat of a file": "ffconcat version 1.0\nfile '{path}'\n",
        "concat of a host": "ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.wav'\n",
        "concat of the protocol subfile": "ffconcat version 1.0\nfile 'subfile,,start,0,end,0,,:{path}'\n",
        "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
        "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
        "<BaseURL>http://127.0.0.1:{port}/</BaseURL></AdaptationSet></Period></MPD>",
        "ISM": '<SmoothStreamingMedia><StreamIndex Url="http://127.0.0.1:{port}/"/></SmoothStreamingMedia>',
        "ffmetadata": ";FFMETADATA1\ntitle={path}\n",
        "PLS": "[playlist]\nFile1={path}\nNumberOfEntries=1\n",
        "XSPF": "<playlist><trackList><track><location>http://127.0.0.1:{port}/</location></track></trackList></playlist>",
        "CUE": 'FILE "{path}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "SRT": "1\n00:00:00,000 --> 00:00:02,000\n{path}\n",
        "WebVTT": "WEBVTT\n\n00:00.000 --> 00:02.000\n{path}\n",
        "ASS": "[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:02.00,x,,0,0,0,,{path}\n",
        "SVG": '<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:{port}/x.png"/></svg>',
        "RTSP text": "RTSPtext\nrtsp://127.0.0.1:{port}/x\n",
        "IMF": '<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><Path>{path}</Path></AssetMap>',
        "a VobSub index": "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
        "a lavfi graph": "amovie={path}",
        "a path alone": "{path}",
        "a URL alone": "http://127.0.0.1:{port}/a.wav",
    }
    for name, text in texts.items():

        def make(path: str, port: int, text: str = text) -> bytes:
            return text.replace("{path}", path).replace("{port}", str(port)).encode()

        yield Hostile(name, make, REFUSED)
    yield Hostile("mp4 whose samples lie in a file", lambda path, port: _referring(f"file://{path}"), (DAMAGED, EMPTY))
    yield Hostile(
        "mp4 whose samples lie at a host", lambda path, port: _referring(f"http://127.0.0.1:{port}/"), (DAMAGED, EMPTY)
    )


def _headers_that_lie() -> Iterator[Hostile]:
    second = pcm16(tone(1))
    about_one = (0.9, 1.1)
    yield Hostile("8 hours claimed", lambda p, q: wav(second, claimed_bytes=8 * 3_600 * 32_000), heard_s=about_one)
    yield Hostile("all bytes claimed", lambda p, q: wav(second, claimed_bytes=0xFFFF_FFFF), heard_s=about_one)
    yield Hostile("no channels", lambda p, q: wav(second, channels=0), REFUSED)
    yield Hostile("65,535 channels", lambda p, q: wav(second, channels=65_535), REFUSED)
    yield Hostile("no rate", lambda p, q: wav(second, rate=0), REFUSED)
    yield Hostile("a rate of 1 Hz", lambda p, q: wav(second, rate=1), REFUSED)
    yield Hostile("a rate of 4 GHz", lambda p, q: wav(second, rate=0xFFFF_FFFF), REFUSED)
    yield Hostile("no bits", lambda p, q: wav(second, bits=0), REFUSED, (0.0, 2.1))
    yield Hostile("an unknown codec", lambda p, q: wav(second, codec=0x7A7A), REFUSED)
    yield Hostile("a header alone", lambda p, q: wav(b""), (EMPTY, DAMAGED))
    yield Hostile("a header alone that claims data", lambda p, q: wav(b"", claimed_bytes=10**6), (EMPTY, DAMAGED))
    yield Hostile("half a header", lambda p, q: wav(second)[:20], REFUSED)
    flac = encoded(tone(1), 16_000, "flac", "flac")
    lying = bytearray(flac)
    lying[21] |= 0x0F
    lying[22:26] = b"\xff\xff\xff\xff"  # the number of samples
    yield Hostile("FLAC of 68 billion samples", lambda p, q: bytes(lying), heard_s=about_one)
    mp4 = encoded(tone(1), 16_000, "mp4", "aac")
    yield Hostile("mp4 with a table of 2 billion sizes", lambda p, q: _patched(mp4, b"stsz", 8, 0x7FFF_FFFF), REFUSED)
    yield Hostile("mp4 of 100,000 hours", lambda p, q: _patched(mp4, b"mdhd", 16, 0xFFFF_FFFF), REFUSED, (0.0, 1.2))
    yield Hostile("mp4 with an atom of 4 GB", lambda p, q: _patched(mp4, b"moov", -4, 0xFFFF_FFF0), REFUSED, (0.0, 1.2))


def _cut_and_damaged() -> Iterator[Hostile]:
    rng = random.Random(2)
    files = {
        "wav": wav(pcm16(tone(4))),
        "mp3": encoded(tone(4), 16_000, "mp3", "libmp3lame"),
        "flac": encoded(tone(4), 16_000, "flac", "flac"),
        "ogg": encoded(tone(4, 48_000), 48_000, "ogg", "libopus"),
        "webm": browser_webm(4),
        "fragmented mp4": safari_mp4(4),
        "adts": encoded(tone(4), 16_000, "adts", "aac"),
    }
    for name, data in files.items():
        half = data[: len(data) // 2]
        yield Hostile(f"{name} cut in half", lambda p, q, half=half: half, (DAMAGED, EMPTY), (0.5, 3.0))  # type: ignore[misc]
        start = data[:100]
        yield Hostile(f"{name} cut at 100 bytes", lambda p, q, start=start: start, REFUSED, (0.0, 0.5))  # type: ignore[misc]
        hit = bytearray(data)
        for _ in range(20):
            hit[rng.randrange(200, len(hit))] ^= 1 << rng.randrange(8)
        yield Hostile(f"{name} with bits turned", lambda p, q, hit=bytes(hit): hit, REFUSED, (0.0, 4.5))  # type: ignore[misc]
    whole = encoded(tone(4), 16_000, "mp4", "aac")
    yield Hostile("mp4 cut before its index", lambda p, q: whole[: len(whole) // 2], (DAMAGED,))
    yield Hostile("wav, then an archive", lambda p, q: wav(pcm16(tone(1))) + _zipped(), heard_s=(0.9, 1.1))


def _odd_but_right() -> Iterator[Hostile]:
    around = (0.9, 1.15)
    for rate in (8_000, 384_000):
        yield Hostile(f"{rate} Hz", lambda p, q, r=rate: wav(pcm16(tone(1, r)), rate=r), heard_s=around)  # type: ignore[misc]
    for channels in (2, 6, 8, 12):
        yield Hostile(
            f"{channels} channels",
            lambda p, q, c=channels: wav(pcm16(tone(1, channels=c)), channels=c),  # type: ignore[misc]
            heard_s=around,
        )
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, 0.1] * 3_200, "<f4").tobytes()
    yield Hostile("numbers that are none", lambda p, q: wav(odd, bits=32, codec=3), heard_s=around)
    yield Hostile(
        "a film with sound", lambda p, q: encoded(tone(1), 16_000, "mp4", "aac", with_picture=True), heard_s=around
    )
    yield Hostile(
        "three streams", lambda p, q: encoded(tone(1), 16_000, "matroska", "flac", num_streams=3), heard_s=around
    )
    yield Hostile(
        "an mp3 behind zeros", lambda p, q: bytes(900) + encoded(tone(1), 16_000, "mp3", "libmp3lame"), REFUSED, around
    )
    yield Hostile("a picture before an mp3", lambda p, q: _pictured(), heard_s=around)


def _pictured() -> bytes:
    picture = b"\x00image/png\x00\x03\x00" + b"\x89PNG\r\n\x1a\n" + bytes(100_000)
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + frame + encoded(tone(1), 16_000, "mp3", "libmp3lame")


def _referring(url: str) -> bytes:
    """An mp4 whose data reference names another place and whose own samples are gone."""
    whole = encoded(tone(1), 16_000, "mp4", "aac")
    at = whole.index(b"dref") - 4
    old = struct.unpack(">I", whole[at : at + 4])[0]
    entry = url.encode() + b"\0"
    entry = struct.pack(">I4sI", 12 + len(entry), b"url ", 0) + entry
    new = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    grown = len(new) - old
    patched = bytearray(whole[:at] + new + whole[at + old :])
    for atom in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = patched.index(atom) - 4
        patched[place : place + 4] = struct.pack(">I", struct.unpack(">I", patched[place : place + 4])[0] + grown)
    data_at = patched.index(b"mdat") + 4
    length = struct.unpack(">I", patched[data_at - 8 : data_at - 4])[0] - 8
    patched[data_at : data_at + length] = bytes(length)
    return bytes(patched)


def _patched(data: bytes, atom: bytes, offset: int, number: int) -> bytes:
    """A file whose atom holds another number, so many bytes behind its name and version."""
    at = data.index(atom) + (4 + offset if offset >= 0 else offset)
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]


def _zipped() -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("speech.wav", wav(pcm16(tone(1))))
    return output.getvalue()


def _tarred() -> bytes:
    output = io.BytesIO()
    data = wav(pcm16(tone(1)))
    with tarfile.open(fileobj=output, mode="w") as archive:
        member = tarfile.TarInfo("speech.wav")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return output.getvalue()
