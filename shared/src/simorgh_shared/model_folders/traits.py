"""What a model can be used for, as far as its files tell: whether it hears or speaks, and which languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simorgh_shared.model_folders.contents import read_json
from simorgh_shared.speech.voices import language_of_name, language_of_three_letters

Traits = dict[str, Any]
"""`architecture`; `can`: transcription, translation, speech, conversion; `languages`: none for all of its kind."""

_MULTILINGUAL_TOKENS = 51_865  # an English Whisper has one token fewer; CTranslate2 tells them apart by it too
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")


@dataclass(frozen=True)
class Told:
    """What is known of a folder when its traits are asked."""

    folder: Path
    names: Sequence[str]
    config: Traits
    own_name: str
    """What the folder was called; empty where it came without its name."""


def of_transformers(model_type: str, told: Told) -> Traits:
    """Of a folder of safetensors."""
    if model_type == "whisper":
        return {
            "architecture": "whisper",
            "can": ["conversion"],
            "languages": _of_whisper(told.config.get("vocab_size")),
        }
    if model_type == "vits":
        return _vits(told)
    return {"architecture": model_type} if model_type else {}


def of_ctranslate2(spec: str, told: Told) -> Traits:
    """Of a `model.bin` by the name of its kind."""
    if not spec.startswith("Whisper"):
        return {"architecture": spec.removesuffix("Spec").removesuffix("Model").lower()}
    languages = _of_whisper(_num_words(told))
    can = ["transcription"] if languages else ["transcription", "translation"]
    return {"architecture": "whisper", "can": can, "languages": languages}


def _of_whisper(num_tokens: object) -> list[str]:
    return ["en"] if isinstance(num_tokens, int) and num_tokens < _MULTILINGUAL_TOKENS else []


def _num_words(told: Told) -> int | None:
    for name in _VOCABULARIES:
        if name in told.names:
            if name.endswith(".json"):
                words = read_json(told.folder / name, name)
                return len(words) if isinstance(words, list) else None
            with (told.folder / name).open("rb") as file:
                return sum(1 for _ in file)
    return None


def _vits(told: Told) -> Traits:
    """A voice, unless its letters need a program that is not here."""
    name = "tokenizer_config.json"
    tokenizer = read_json(told.folder / name, name) if name in told.names else {}
    if not isinstance(tokenizer, dict):
        tokenizer = {}
    needs = [program for key, program in (("is_uroman", "uroman"), ("phonemize", "phonemizer")) if tokenizer.get(key)]
    traits: Traits = {"architecture": "vits", "can": [] if needs else ["speech"], "languages": _spoken(tokenizer, told)}
    return traits | ({"needs": needs} if needs else {})


def _spoken(tokenizer: Traits, told: Told) -> list[str]:
    language = tokenizer.get("language")
    if isinstance(language, str) and language:
        return [language_of_three_letters(language)]
    for name in (told.config.get("_name_or_path"), tokenizer.get("_name_or_path"), told.own_name):
        found = language_of_name(name) if isinstance(name, str) else None
        if found is not None:
            return [found]
    return []
