"""Speaks by eSpeak NG: the voice of every language that has no neural one. The only module that loads the library.

eSpeak NG is under GPL-3.0: it comes with an extra of its own (`espeak`), is loaded by ctypes in the engine child, and
nowhere else. Its state is global, so one sentence is spoken at a time; a crash or hang of it takes the child alone.
The phase of its flutter goes on from sentence to sentence: the same one comes out longer or shorter by some samples
(unloading the library each time would mend that, and costs 8 ms and leaks 150 KB).
"""

import ctypes
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simorgh_shared.domain.errors import InvalidInputError, UnavailableError
from simorgh_shared.speech.voices import espeak_key, espeak_own_name, language_name
from simorgh_voice.engine.synthesis.stretching import stretched
from simorgh_voice.engine.synthesis.voices import Cancelled, Samples, Utterance

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples come to the callback, within espeak_Synth
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: else the library ends the process where its data are missing
_BUFFER_MS = 100  # how soon a cancellation is seen
_UTF8 = 1  # espeakCHARS_UTF8, and neither SSML nor phonemes in brackets: all of a text is text
_RATE, _PITCH = 1, 3
_WORDS_A_MINUTE = 175  # the library's own
_SLOWEST, _FASTEST = 80, 450  # beyond these it speaks no slower and no faster
_MIDDLE_PITCH = 50
_MOST_PATH_BYTES = 150  # N_PATH_HOME is 160: a longer one is cut, and the data are not found
_MEMORY_BYTES = 24 << 20  # measured: 8 MB for one language, a few more for each that follows
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _ListedVoice(ctypes.Structure):
    """espeak_VOICE of speak_lib.h; `languages` is a priority and a name, again and again, then a zero."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class EspeakVoice:
    """One language of eSpeak NG."""

    memory_bytes = _MEMORY_BYTES
    has_pitch = True

    def __init__(self, language: str) -> None:
        self.language = language
        self._library = _library()
        self.sample_rate = self._library.sample_rate

    def speak(self, sentence: str, *, speed: float, pitch: float, is_cancelled: Callable[[], bool]) -> Utterance:
        """The samples of a sentence.

        Raises: Cancelled, within a tenth of a second of speech.
        """
        wanted = _WORDS_A_MINUTE * speed
        rate = round(min(max(wanted, _SLOWEST), _FASTEST))
        own = espeak_own_name(self.language)
        samples = self._library.speak(own, sentence, rate, round(_MIDDLE_PITCH * pitch), is_cancelled)
        return Utterance(stretched(samples, self.sample_rate, wanted / rate))


def load(language: str) -> EspeakVoice:
    """The voice of a language.

    Raises: InvalidInputError `speech_voice_unknown`, UnavailableError `espeak_missing`.
    """
    key = espeak_key(language)
    if key is None:
        raise InvalidInputError("speech_voice_unknown", language=language_name(language)[:40])
    return EspeakVoice(key)


def is_available() -> bool:
    """Whether the extra is installed and the library loads here."""
    try:
        _library()
    except UnavailableError:
        return False
    return True


def languages() -> list[str]:
    """What the library lists: the first name of each of its voices, in lower case."""
    return _library().languages()


class _Library:
    """The one instance of the library in this process."""

    def __init__(self, library_path: str, data_path: str) -> None:
        self._lock = threading.Lock()
        self._blocks: list[NDArray[np.int16]] = []
        self._is_cancelled: Callable[[], bool] = _never
        self._problem: BaseException | None = None
        self._library = ctypes.CDLL(library_path)
        encoded = data_path.encode()
        if len(encoded) > _MOST_PATH_BYTES:
            raise OSError(f"the path of its data is longer than {_MOST_PATH_BYTES} bytes: {data_path}")
        self.sample_rate = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, encoded, _DO_NOT_EXIT)
        if self.sample_rate <= 0:
            raise OSError(f"it does not start with the data in {data_path}")
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_ListedVoice))
        self._library.espeak_Synth.argtypes = (
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        )  # fmt: skip
        self._callback = _Callback(self._take)  # kept: the library calls it as long as it lives
        self._library.espeak_SetSynthCallback(self._callback)
        self._identifiers = self._listed()

    def speak(self, voice: str, text: str, rate: int, pitch: int, is_cancelled: Callable[[], bool]) -> Samples:
        """One sentence; others wait."""
        encoded = _CONTROLS.sub(" ", text).encode("utf-8", "replace")
        with self._lock:
            self._blocks, self._problem, self._is_cancelled = [], None, is_cancelled
            identifier = self._identifiers.get(voice, voice)  # some voices do not answer to their language's name
            self._require(self._library.espeak_SetVoiceByName(identifier.encode()), "espeak_SetVoiceByName")
            # The library keeps both beyond the voice that they were set for.
            self._require(self._library.espeak_SetParameter(_RATE, rate, 0), "espeak_SetParameter")
            self._require(self._library.espeak_SetParameter(_PITCH, min(max(pitch, 0), 99), 0), "espeak_SetParameter")
            self._require(
                self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None), "espeak_Synth"
            )
            self._require(self._library.espeak_Synchronize(), "espeak_Synchronize")
            blocks, self._blocks = self._blocks, []
            if self._problem is not None:
                raise self._problem
        whole = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
        return whole.astype(np.float32) / 32_768.0

    def languages(self) -> list[str]:
        """The first name of each voice that is listed, in lower case."""
        return sorted(self._identifiers)

    def _listed(self) -> dict[str, str]:
        """Each language's voice, the first where it has several."""
        listed = self._library.espeak_ListVoices(None)
        found: dict[str, str] = {}
        place = 0
        while listed[place]:
            voice = listed[place].contents
            language = ctypes.string_at(voice.languages + 1).decode().lower()
            identifier = voice.identifier.decode()
            # A variant in another script is listed beside its language, whose voice has the shorter name.
            if language not in found or len(identifier) < len(found[language]):
                found[language] = identifier
            place += 1
        return found

    def _take(self, samples: Any, num_samples: int, events: int | None) -> int:
        """Called by the library with each block; an answer of 1 ends the sentence. Nothing may be raised through C."""
        del events
        try:
            if self._is_cancelled():
                raise Cancelled
            if samples and num_samples > 0:
                self._blocks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        except BaseException as error:
            self._problem = error
            return 1
        return 0

    def _require(self, status: int, call: str) -> None:
        if status != 0:
            raise RuntimeError(f"{call} answered {status}")  # a fault of ours or of the library: the child may go


@cache
def _library() -> _Library:
    try:
        import espeakng_loader
    except ImportError as error:
        raise UnavailableError("espeak_missing", reason="the package espeakng-loader is not installed") from error
    try:
        return _Library(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
    except OSError as error:
        raise UnavailableError("espeak_missing", reason=str(error)[:200]) from error


def _never() -> bool:
    return False
