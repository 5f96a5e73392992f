"""Voices for the tests of the synthesis: a real one, and one of random weights that is made once."""

from pathlib import Path

import pytest

from simorgh_voice.engine import synthesis
from simorgh_voice.engine.synthesis import Voice
from tests.support.voices import make_vits_folder


@pytest.fixture(scope="session")
def vits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vits_folder(tmp_path_factory.mktemp("voices") / "mms-tts-fas")


@pytest.fixture(scope="session")
def persian() -> Voice:
    return synthesis.load("espeak:fa", None, device="cpu", threads=1)


@pytest.fixture(scope="session")
def noise(vits_folder: Path) -> Voice:
    return synthesis.load("mver_1", vits_folder, device="cpu", threads=1)
