"""Following a run through connections that break, and how it looks."""

import http.server
import json
import signal
import threading
from collections.abc import Iterator

import pytest

from simorgh_cli.terminal.curve import Trace, draw
from tests.embedded.program import Simorgh, ended
from tests.embedded.terminal import on_terminal

_RUN = {
    "runId": "job_1",
    "phase": "running",
    "step": 30,
    "totalSteps": 90,
    "modelId": "model_1",
    "error": {"message": "بی‌دلیل"},
    "result": {"step": 30, "metrics": {"training_seconds": 120.5}},
    "spec": {"max_minutes": 2},
}


class CuttingGateway(http.server.BaseHTTPRequestHandler):
    """Speaks the contract's streams over real sockets, and cuts each connection within the second event."""

    events: list[tuple[str, dict]]
    resumed_from: list[str | None]
    phase: str
    holds: bool
    refusals: int

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/train/stream":
            last_id = self.headers.get("Last-Event-ID")
            self.resumed_from.append(last_id)
            if type(self).refusals:
                type(self).refusals -= 1
                self._send_json({"ok": False, "code": "database_unavailable", "error": "not now", "errors": []}, 503)
            else:
                self._send_one_event(int(last_id or 0))
        elif path == "/api/jobs/job_1/events":
            after = int(self.path.partition("cursor=")[2].partition("&")[0])
            self._send_json({"ok": True, "data": self.events[after : after + 1], "next_cursor": None})
        else:
            self._send_json({"ok": True, "data": _RUN | {"phase": self.phase}})

    def log_message(self, *_args: object) -> None:
        return

    def _send_one_event(self, position: int) -> None:
        name, data = self.events[position]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        frame = f": hello\n\nid: {position + 1}\nevent: {name}\ndata: {json.dumps(data)}\n\nid: 99\nevent: met"
        self.wfile.write(frame.encode())
        if self.holds:
            self.wfile.flush()
            self.connection.recv(1)  # until the client leaves

    def _send_json(self, body: dict, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def cutting(stranger: Simorgh) -> Iterator[type[CuttingGateway]]:
    """The gateway; `stranger` is pointed at it with a key."""
    metrics = [("metrics", {"step": n, "total_steps": 30, "values": {"loss": 5.0 - n / 10}}) for n in (10, 20, 30)]
    CuttingGateway.events = [*metrics, ("succeeded", {})]
    CuttingGateway.resumed_from, CuttingGateway.phase = [], "succeeded"
    CuttingGateway.holds, CuttingGateway.refusals = False, 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CuttingGateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    stranger.variables |= {"SIMORGH_URL": f"http://127.0.0.1:{server.server_port}", "SIMORGH_API_KEY": "key"}
    yield CuttingGateway
    server.shutdown()
    server.server_close()
    thread.join()


class TestWatch:
    def test_a_cut_stream_goes_on_after_the_last_whole_event(self, cutting, stranger: Simorgh) -> None:
        """R-API-4, R-TRAIN-5: by Last-Event-ID; nothing is missed or told twice."""
        cutting.refusals = 1
        done = stranger.run("watch", "job_1", "--json")
        assert [json.loads(line).get("step") for line in done.stdout.splitlines()] == [10, 20, 30, None]
        assert cutting.resumed_from == [None, None, "1", "2", "3"]
        assert done.stderr.count("Lost the connection, trying again") == 1

    @pytest.mark.parametrize(
        ("last", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 3), ("paused", 3), ("stopped", 3)]
    )
    def test_the_exit_code_tells_how_the_run_ended(self, cutting, stranger: Simorgh, last: str, code: int) -> None:
        """R-API-4: 0 when it succeeded, 1 when it failed, 3 when it rests or was cancelled."""
        cutting.events, cutting.phase = [("queued", {}), (last, {})], last
        done = stranger.run("watch", "job_1", code=code)
        assert ("بی‌دلیل" in done.stderr) == (last == "failed")
        assert ("step 30 of 90: its 2 minutes (max_minutes) were over" in done.stdout) == (last == "succeeded")

    def test_a_pause_that_is_long_over_ends_nothing(self, cutting, stranger: Simorgh) -> None:
        """R-API-4: the history of a run that was paused and has gone on is read to its end."""
        cutting.events = [("paused", {}), ("stopped", {}), ("queued", {}), ("succeeded", {})]
        assert len(stranger.run("watch", "job_1", "--json").stdout.splitlines()) == 4

    def test_interrupting_says_that_the_run_goes_on(self, cutting, stranger: Simorgh) -> None:
        """R-API-4: Ctrl-C leaves the run alone."""
        cutting.holds = True
        watcher = stranger.start("watch", "job_1")
        assert watcher.stdout is not None
        assert "step 10 of 30" in watcher.stdout.readline()
        watcher.send_signal(signal.SIGINT)
        code, out, err = ended(watcher)
        assert code == 130
        assert "Left run job_1 alone: it goes on" in err
        assert "\x1b" not in out + err

    def test_on_a_terminal_a_bar_and_a_curve_are_drawn(self, cutting, stranger: Simorgh) -> None:
        """R-API-4: live bar and curve."""
        cutting.events[1][1]["values"] |= {"eval_loss": 3.5, "tokens_per_s": 1234.0, "eta_s": 61}
        screen = on_terminal(stranger, "watch", "job_1")
        assert "30/30" in screen
        assert "held-out 3.500/token  tokens/s 1,234  left 1:01" in screen
        assert any("\u2801" <= character <= "\u28ff" for character in screen)
        assert "●" in screen
        assert "Run job_1 succeeded: model model_1" in screen


class TestCurve:
    def test_the_loss_falls_from_the_upper_left_to_the_lower_right(self) -> None:
        """R-API-4."""
        lines = draw([(0, 4.0), (100, 1.0)], [(0, 2.5), (100, 2.5)], columns=40, rows=4)
        assert lines[0].startswith("       4┤⠉⠑")
        assert lines[3].startswith("       1┤")
        assert lines[3].endswith("⣀")
        assert sum(line.count("●") for line in lines) == 2
        assert lines[-1].endswith("step 100")
        assert max(map(len, lines)) <= 40

    def test_points_stay_bounded_and_a_resumed_run_overwrites_what_it_repeats(self) -> None:
        """R-API-4: a run of days takes no more memory than one of minutes."""
        trace = Trace(max_points=64)
        for step in range(10_000):
            trace.add(step, 1.0)
        assert len(trace.points) <= 64
        trace.add(5_000, 2.0)
        assert trace.points[-1] == (5_000, 2.0)
        assert all(step < 5_000 for step, _ in trace.points[:-1])

    def test_nothing_is_drawn_of_one_point_or_flat_on_a_narrow_terminal(self) -> None:
        """R-API-4."""
        assert draw([(1, 2.0)], [], 80, 8) == []
        assert draw([(1, 2.0), (2, 2.0)], [], 12, 8) == []
        assert len(draw([(1, 2.0), (2, 2.0)], [], 80, 8)) == 9
