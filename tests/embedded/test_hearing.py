"""How far a voice job is, where the output is no terminal (R-API-4)."""

import pytest

from simorgh_cli.terminal import hearing


class TestFollowing:
    def test_a_line_is_said_once(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """R-API-4: a log is not filled with the same words; what is counted is told."""
        monkeypatch.setattr(hearing, "_SAID_EVERY_S", 0.0)
        jobs = [{"status": "queued", "progress": {}}] * 3
        jobs += [{"status": "running", "progress": {"audio_s": 62.0, "total_s": 3_700.0}}] * 3
        with hearing.following("evaluating") as show:
            for job in jobs:
                show(job)
        assert capsys.readouterr().err.splitlines() == [
            "evaluating: queued",
            "evaluating: 1:02 of 1:01:40 of audio",
        ]
