"""Segments as subtitles: SubRip (.srt) and WebVTT (.vtt).

Sources: https://www.w3.org/TR/webvtt1/ ; SubRip has no specification: what its common readers take.
"""

from collections.abc import Iterable, Iterator

from simorgh_shared.speech.transcript import Segment

_SHORTEST_MS = 1  # a cue must end after it began


def to_srt(segments: Iterable[Segment]) -> str:
    """SubRip; cues without text are left out."""
    return "".join(
        f"{number}\n{_time(start_ms, ',')} --> {_time(end_ms, ',')}\n{text}\n\n"
        for number, (start_ms, end_ms, text) in enumerate(_cues(segments), start=1)
    )


def to_vtt(segments: Iterable[Segment]) -> str:
    """WebVTT; cues without text are left out. `&`, `<` and `>` are escaped: they would begin tags or end the text."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(start_ms, '.')} --> {_time(end_ms, '.')}\n{_escaped(text)}\n\n"
        for start_ms, end_ms, text in _cues(segments)
    )


def _cues(segments: Iterable[Segment]) -> Iterator[tuple[int, int, str]]:
    """Times in milliseconds that never run backwards or overlap, and texts on one line: a blank line ends a cue."""
    earliest_ms = 0
    for segment in segments:
        text = " ".join(segment.text.replace("\0", "").split())
        if not text:
            continue
        start_ms = max(round(segment.start * 1_000), earliest_ms)
        end_ms = max(round(segment.end * 1_000), start_ms + _SHORTEST_MS)
        yield start_ms, end_ms, text
        earliest_ms = end_ms


def _time(time_ms: int, mark: str) -> str:
    seconds, rest_ms = divmod(time_ms, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{rest_ms:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
