"""The quick start's client and display. The gateway in front of it is tried in tests/e2e."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from simorgh_cli.backing.secrets import SecretStore
from simorgh_cli.quickstart import journey
from simorgh_cli.quickstart.client import ApiClient
from simorgh_cli.quickstart.progress import Figures, PlainDisplay
from simorgh_shared.datasets.sample import write_sample
from simorgh_shared.schemas.training import TrainSpec

_EVENTS = [("1", "metrics", {"step": 10}), ("2", "metrics", {"step": 20}), ("3", "metrics", {"step": 30})]


class _CuttingGateway(http.server.BaseHTTPRequestHandler):
    """Speaks the contract's streams over real sockets, and cuts each connection after one event."""

    resumed_from: list[str | None]

    def do_GET(self) -> None:
        if self.path.startswith("/api/train/stream"):
            last_id = self.headers.get("Last-Event-ID")
            self.resumed_from.append(last_id)
            self._send_one_event(int(last_id or 0))
        else:
            seen_all = len(self.resumed_from) >= len(_EVENTS)
            self._send_json({"ok": True, "data": {"phase": "succeeded" if seen_all else "running"}})

    def log_message(self, *_args: object) -> None:
        return

    def _send_one_event(self, position: int) -> None:
        event_id, name, data = _EVENTS[position]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        frame = f": hello\n\nid: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\nid: 99\nevent: met"
        self.wfile.write(frame.encode())

    def _send_json(self, body: dict) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def gateway() -> Iterator[http.server.ThreadingHTTPServer]:
    _CuttingGateway.resumed_from = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _CuttingGateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class TestFollow:
    def test_cut_stream_goes_on_after_the_last_whole_event(self, gateway, tmp_path) -> None:
        """R-TRAIN-5."""
        client = ApiClient(f"http://127.0.0.1:{gateway.server_port}", SecretStore(tmp_path / "secrets.json"))
        steps = [event.data["step"] for event in client.follow("job_1")]
        client.close()
        assert steps == [10, 20, 30]
        assert _CuttingGateway.resumed_from == [None, "1", "2"]


class TestPlainDisplay:
    def test_lines_carry_the_figures_and_no_control_characters(self) -> None:
        said: list[str] = []
        figures = Figures()
        with PlainDisplay(said.append, every_s=0) as display:
            values = {"loss": 3.25, "eval_loss": 3.5, "eval_loss_per_char": 2.5, "tokens_per_s": 1234.5}
            figures.take({"step": 10, "total_steps": 40, "values": values | {"eta_s": 75}})
            display.show(figures)
        assert said == ["step 10 of 40  loss 3.250  held-out 3.500  tokens/s 1,234  left 1:15"]
        assert said[0].isprintable()

    def test_lines_are_seconds_apart(self) -> None:
        said: list[str] = []
        with PlainDisplay(said.append, every_s=3600) as display:
            for step in range(5):
                figures = Figures(step=step)
                display.show(figures)
        assert len(said) == 1


class TestFigures:
    def test_lowest_held_out_loss_is_kept_when_it_rises_again(self) -> None:
        figures = Figures()
        for per_char in (2.6, 2.4, 2.5):
            figures.take({"step": 1, "values": {"eval_loss_per_char": per_char}})
        assert figures.lowest_loss_per_char == 2.4


class TestJourney:
    def test_training_parameters_are_ones_that_the_platform_takes(self) -> None:
        assert TrainSpec.model_validate(journey.TRAINING | {"dataset": "ds_1"}).preset is not None

    def test_trigram_of_the_sample_is_a_baseline_of_about_two_and_a_half_nats(self, tmp_path) -> None:
        """R-DATA-10."""
        data = write_sample(tmp_path)
        assert len(journey.read_rows(data.train_path)) == data.num_train_rows > 1000
        assert 2.2 < journey.trigram_loss(data) < 2.8
