"""Hearing and speaking by the command line (R-API-4, R-VOICE-1, R-VOICE-2, R-VOICE-4)."""

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import srt

from simorgh_shared.domain.errors import UnsupportedError
from simorgh_shared.domain.jobs import Lane
from tests.api.voice.conftest import MANY_LANGUAGES
from tests.api.voice.hand import SENTENCES, Hand
from tests.embedded.program import Simorgh, ended, wait_for
from tests.support import model_files
from tests.support.engine import running_engine
from tests.support.gateway import Gateway
from tests.support.stack import Bucket, Database

CLIP = b"RIFF" + bytes(2_000)
TEXT = " ".join(SENTENCES)
PARTS = [bytes([number]) * 5_000 for number in range(1, 4)]


@pytest.fixture(scope="module")
def hand(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hand]:
    """A worker beside the gateway that is driven by hand."""
    del gateway
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("hand")) as engine:
        made = Hand(engine, redis_url)
        made.clock_in()
        yield made
        made.close()


@pytest.fixture(scope="module")
def speaker(hand: Hand, new_user: Callable[[], Simorgh]) -> Simorgh:
    """Someone with a Whisper and a clip."""
    made = new_user()
    model_files.write(made.home / "whisper", MANY_LANGUAGES)
    made.run("models", "upload", "whisper")
    (made.home / "گفته.wav").write_bytes(CLIP)
    return made


def said(speaker: Simorgh, hand: Hand, *arguments: str) -> str:
    """What a transcription writes."""
    process = speaker.start("transcribe", "گفته.wav", *arguments)
    lease = hand.take()
    hand.finish_hearing(lease, words=bool(lease.spec["words"]))
    code, out, err = ended(process)
    assert code == 0, err
    return out


class TestTranscribe:
    def test_the_text_is_the_output(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: of a short clip within its request; what was asked for reaches the job."""
        process = speaker.start("transcribe", "گفته.wav", "--language", "fa", "--prompt", "سیمرغ", "--translate")
        lease = hand.take()
        assert (lease.spec["name"], lease.spec["language"]) == ("گفته.wav", "fa")
        assert (lease.spec["prompt"], lease.spec["task"]) == ("سیمرغ", "translate")
        hand.finish_hearing(lease)
        assert ended(process)[:2] == (0, TEXT + "\n")

    def test_the_output_says_the_format(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: subtitles that their readers take, and JSON with the words."""
        assert said(speaker, hand, "-o", "گفته.srt").endswith("to گفته.srt.\n")
        cues = list(srt.parse((speaker.home / "گفته.srt").read_text(encoding="utf-8")))
        assert [cue.content for cue in cues] == list(SENTENCES)
        assert said(speaker, hand, "--format", "vtt").startswith("WEBVTT\n")
        said(speaker, hand, "-o", "x.json", "--words")
        found = json.loads((speaker.home / "x.json").read_text(encoding="utf-8"))
        assert (found["text"], len(found["segments"]), found["words"][0]["word"]) == (TEXT, 3, "سلام")
        assert json.loads(said(speaker, hand, "--json"))["text"] == TEXT

    def test_a_long_file_is_watched_and_can_be_left_alone(self, speaker: Simorgh, hand: Hand) -> None:
        """R-VOICE-4: Ctrl-C leaves the job to itself; it is got later by its id."""
        process = speaker.start("transcribe", "گفته.wav", "-o", "later.srt")
        hand.move(hand.take())
        lease = hand.take(lanes=(Lane.LONG,))
        hand.hear(lease, 0)
        assert process.stderr is not None
        assert lease.job_id in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
        assert (code, out) == (130, "")
        assert f"simorgh transcribe --job {lease.job_id} -o later.srt" in err
        assert hand.engine.job(lease.job_id).desired_state == "run"
        again = speaker.start("transcribe", "--job", lease.job_id, "-o", "later.srt")
        hand.finish_hearing(lease)
        assert ended(again)[0] == 0
        assert (speaker.home / "later.srt").read_text(encoding="utf-8").count("-->") == 3

    def test_the_file_may_come_from_standard_input(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: as a text to be spoken may; with JSON about the subtitles that are written."""
        with ThreadPoolExecutor(1) as threads:
            asked = ("transcribe", "-", "-o", "piped.srt")
            running = threads.submit(speaker.ask, *asked, said=CLIP.decode())
            lease = hand.take()
            hand.finish_hearing(lease)
            assert running.result(60)["path"] == "piped.srt"
        assert (speaker.home / "piped.srt").read_text(encoding="utf-8").count("-->") == 3

    def test_who_leaves_before_there_is_a_job_is_told_so(self, speaker: Simorgh, hand: Hand) -> None:
        """R-VOICE-4: the gateway takes the job of a short clip back."""
        process = speaker.start("transcribe", "گفته.wav")
        lease = hand.take()
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
        assert (code, out) == (130, "")
        assert "nothing goes on" in err
        hand.engine.wait(lambda: hand.engine.job(lease.job_id).desired_state == "cancel", "the job is taken back")
        hand.leave(lease)

    def test_refusals(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: in the API's words, with this program's commands; no file is left."""
        assert "klingon" in speaker.refuse("transcribe", "گفته.wav", "--language", "klingon")
        assert "simorgh models" in speaker.refuse("transcribe", "گفته.wav", "--model", "none")
        speaker.refuse("transcribe", code=2)
        process = speaker.start("transcribe", "گفته.wav", "-o", "never.srt")
        hand.move(hand.take())
        hand.fail(hand.take(), UnsupportedError("audio_not_audio"))
        code, out, err = ended(process)
        assert (code, out) == (1, "")
        assert "no sound of a type that is taken" in err
        assert not (speaker.home / "never.srt").exists()


class TestSpeak:
    def test_the_audio_is_put_in_place_whole(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: the file's suffix says the format."""
        process = speaker.start("speak", "سلام دنیا", "-o", "سلام.wav", "--speed", "1.5", "--voice", "espeak:fa")
        lease = hand.take()
        assert (lease.spec["text"], lease.spec["format"], lease.spec["speed"]) == ("سلام دنیا", "wav", 1.5)
        hand.speak(lease, 0, PARTS[0])
        hand.speak(lease, 1, PARTS[1])
        hand.finish_speaking(lease, PARTS[0] + PARTS[1], 2)
        assert ended(process)[:2] == (0, "Wrote 10.0 kB to سلام.wav.\n")
        assert (speaker.home / "سلام.wav").read_bytes() == PARTS[0] + PARTS[1]

    @pytest.mark.parametrize("given", ["-", "متن.txt"])
    def test_the_text_may_come_from_a_file(self, speaker: Simorgh, hand: Hand, given: str) -> None:
        """R-API-4: or from standard input; without a name the audio is speech.mp3."""
        text = "سلام از پرونده"
        (speaker.home / "متن.txt").write_text(f"\ufeff{text}", encoding="utf-8")
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(speaker.run, "speak", given, "--language", "fa", said=text)
            lease = hand.take()
            assert (lease.spec["text"], lease.spec["format"]) == (text, "mp3")
            hand.speak(lease, 0, PARTS[0])
            hand.finish_speaking(lease, PARTS[0], 1)
            assert running.result(60).stdout == "Wrote 5.0 kB to speech.mp3.\n"
        assert (speaker.home / "speech.mp3").read_bytes() == PARTS[0]

    def test_what_breaks_off_is_no_file(self, speaker: Simorgh, hand: Hand) -> None:
        """R-VOICE-2: half a speech is never taken for a whole one."""
        process = speaker.start("speak", "سلام دنیا", "-o", "half.mp3")
        lease = hand.take()
        hand.speak(lease, 0, PARTS[0])
        wait_for(lambda: (speaker.home / ".half.mp3.part").exists(), "part of the file")
        hand.fail(lease, UnsupportedError("job_failed", reason="it was too much"))
        code, out, err = ended(process)
        assert (code, out) == (1, "")
        assert "does not answer" in err
        assert not list(Path(speaker.home).glob("*half*"))

    def test_a_long_text_is_waited_for(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: its job is followed, and its file fetched."""
        process = speaker.start("speak", TEXT * 50, "-o", "long.mp3")
        lease = hand.take(lanes=(Lane.LONG,))
        hand.speak(lease, 0, PARTS[0])
        hand.finish_speaking(lease, PARTS[0], 1)
        assert ended(process)[0] == 0
        assert (speaker.home / "long.mp3").read_bytes() == PARTS[0]

    def test_one_that_was_left_alone_keeps_its_format(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: the command to get it says where to; another format cannot be had of it."""
        process = speaker.start("speak", TEXT * 50, "-o", "my speech.ogg")
        lease = hand.take(lanes=(Lane.LONG,))
        assert process.stderr is not None
        assert lease.job_id in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
        assert (code, out) == (130, "")
        assert f"simorgh speak --job {lease.job_id} -o 'my speech.ogg'" in err
        refused = speaker.refuse("speak", "--job", lease.job_id, "-o", "speech.mp3", code=2)
        assert "speaks opus, not mp3: name a file that ends with .ogg or .opus" in refused
        hand.speak(lease, 0, PARTS[0])
        hand.finish_speaking(lease, PARTS[0], 1)
        assert speaker.run("speak", "--job", lease.job_id).stdout == "Wrote 5.0 kB to speech.ogg.\n"
        assert (speaker.home / "speech.ogg").read_bytes() == PARTS[0]

    def test_who_leaves_before_there_is_a_job_is_told_so(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: half a speech is no file, and its job is taken back."""
        process = speaker.start("speak", "سلام دنیا", "-o", "left.mp3")
        lease = hand.take()
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
        assert code == 130
        assert "nothing goes on, and no file was written" in err
        assert not (speaker.home / "left.mp3").exists()
        hand.engine.wait(lambda: hand.engine.job(lease.job_id).desired_state == "cancel", "the job is taken back")
        hand.leave(lease)

    def test_voices_are_listed_and_refusals_name_them(self, speaker: Simorgh, hand: Hand) -> None:
        """R-API-4: with their licence."""
        listed = speaker.run("speak", "--voices").stdout
        assert ["espeak:fa", "Persian", "espeak", "yes", "GPL-3.0-or-later"] in map(str.split, listed.splitlines())
        assert "simorgh speak --voices" in speaker.refuse("speak", "سلام", "--voice", "nobody")
