"""What `speak` and `transcribe` refuse before anything is sent (R-API-4): no platform is asked, nobody is signed in."""

from pathlib import Path

import pytest

from tests.embedded.program import Simorgh


@pytest.fixture
def home(stranger: Simorgh) -> Path:
    """With a clip, an empty text and a folder."""
    (stranger.home / "clip.wav").write_bytes(b"RIFF")
    (stranger.home / "empty.txt").write_text("\n")
    (stranger.home / "texts").mkdir()
    return stranger.home


class TestSpeak:
    @pytest.mark.parametrize("given", [("",), (" ",), ("-",), ()])
    def test_without_a_text_it_says_what_it_needs(self, stranger: Simorgh, given: tuple[str, ...]) -> None:
        """R-API-4: not what `chat` needs."""
        said = stranger.refuse("speak", *given)
        assert "There is no text to speak" in said
        assert "-m" not in said

    def test_an_empty_file_is_named(self, stranger: Simorgh, home: Path) -> None:
        """R-API-4."""
        assert "in empty.txt: it is empty" in stranger.refuse("speak", "empty.txt")

    @pytest.mark.parametrize("given", ["nosuchfile.txt", "my notes.md", "./nosuchfile", "texts", "nosuch/chapter"])
    def test_the_name_of_a_file_that_is_not_there_is_not_spoken(
        self, stranger: Simorgh, home: Path, given: str
    ) -> None:
        """R-API-4: it says how these words would be spoken all the same."""
        said = stranger.refuse("speak", given, code=2)
        assert given in said
        assert "simorgh speak -" in said

    @pytest.mark.parametrize("name", ["x.m4a", "x.txt"])
    def test_a_suffix_that_is_no_format_is_refused(self, stranger: Simorgh, name: str) -> None:
        """R-API-4: with those that are; --format takes the file as it is named."""
        assert ".mp3, .ogg, .wav" in stranger.refuse("speak", "سلام", "-o", name, code=2)
        assert "No platform runs" in stranger.refuse("speak", "سلام", "-o", name, "--format", "aac")

    def test_a_format_that_the_name_denies_is_refused(self, stranger: Simorgh) -> None:
        """R-API-4."""
        said = stranger.refuse("speak", "سلام", "-o", "x.wav", "--format", "mp3", code=2)
        assert "x.wav ends as wav does, and --format says mp3" in said


class TestTranscribe:
    def test_a_suffix_that_is_no_format_is_refused(self, stranger: Simorgh, home: Path) -> None:
        """R-API-4."""
        assert ".txt, .srt, .vtt, .json" in stranger.refuse("transcribe", "clip.wav", "-o", "x.docx", code=2)

    def test_json_for_programs_is_no_subtitles(self, stranger: Simorgh, home: Path) -> None:
        """R-API-4: but subtitles in a file go with JSON about it."""
        said = stranger.refuse("transcribe", "clip.wav", "--json", "--format", "srt", code=2)
        assert "leave --format srt out, or name a file for it with -o" in said
        assert "No platform runs" in stranger.refuse("transcribe", "clip.wav", "--json", "-o", "x.srt")

    @pytest.mark.parametrize("form", [(), ("--format", "srt"), ("-o", "x.vtt"), ("-o", "x.srt", "--json")])
    def test_words_need_a_format_that_has_them(self, stranger: Simorgh, home: Path, form: tuple[str, ...]) -> None:
        """R-API-4: as the API refuses them."""
        assert "--words needs --format json" in stranger.refuse("transcribe", "clip.wav", "--words", *form, code=2)
        assert "No platform runs" in stranger.refuse("transcribe", "clip.wav", "--words", "--json")

    def test_what_a_job_hears_by_cannot_be_changed(self, stranger: Simorgh) -> None:
        """R-API-4: nothing that was said is ignored."""
        assert "--job goes with" in stranger.refuse("transcribe", "--job", "job_x", "--language", "fa", code=2)
        assert "--job goes with" in stranger.refuse("speak", "--job", "job_x", "--speed", "2", code=2)


class TestOutput:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("speak", "سلام", "-o", "nonexist/x.mp3"),
            ("transcribe", "clip.wav", "-o", "nonexist/x.srt"),
            ("evaluate-speech", "set", "-o", "nonexist/x.html"),
        ],
    )
    def test_a_folder_that_is_missing_is_named_before_any_work(
        self, stranger: Simorgh, home: Path, arguments: tuple[str, ...]
    ) -> None:
        """R-API-4."""
        assert "The folder nonexist does not exist" in stranger.refuse(*arguments)
