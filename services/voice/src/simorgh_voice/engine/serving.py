"""Serves requests one after the other: finds the model, runs the engine, tells how it ended."""

import shutil
from pathlib import Path
from typing import Any

from simorgh_shared.audio.decoding import Decoder
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.jobs import JobType, Lane
from simorgh_voice.engine.models import Models
from simorgh_voice.engine.wire import Wire


class Engine:
    """One lane's engine. What a kind of work needs is imported at the first of its requests."""

    def __init__(self, wire: Wire, models: Models, *, lane: str, device: str, threads: int) -> None:
        self._wire = wire
        self._models = models
        self._lane = lane
        self._device = device
        self._threads = threads
        self._decoder = Decoder()
        self._decoder.start()  # while this process is small

    def serve(self) -> None:
        """Until the worker lets go, which ends the process."""
        while True:
            request = self._wire.next_request()
            request_id = str(request["id"])
            ending = self._run(request)
            self._wire.forget(request_id)
            self._wire.send({"id": request_id, **ending})

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        """The last line of a request. What is nobody's fault but ours ends this process, and is seen in its log."""
        work = {JobType.TRANSCRIBE: self._transcribe, JobType.HEAR_CLIPS: self._hear_clips}
        try:
            return work.get(request["kind"], self._synthesize)(request)
        except AppError as error:
            return {"type": "failed", "code": error.code, "params": dict(error.params)}

    def _transcribe(self, request: dict[str, Any]) -> dict[str, Any]:
        from simorgh_voice.engine import transcription

        folder, state = Path(request["model_dir"]), request["resume"]
        with self._models.lent(
            request["model_key"],
            folder_bytes(folder),
            lambda: transcription.load(
                folder, device=self._device, threads=self._threads, by_batches=self._lane == Lane.LONG
            ),
        ) as transcriber:
            try:
                return transcription.transcribe(
                    transcriber,
                    Path(request["input"]),
                    transcription.TranscriptionSpec.from_json(request["spec"]),
                    transcription.Resume(**state) if state else None,
                    decoder=self._decoder,
                    lane=self._lane,
                    say=lambda line: self._say(request, line),
                    is_cancelled=lambda: self._wire.is_cancelled(request["id"]),
                )
            except transcription.Moved as moved:
                return {"type": "moved", "duration_s": moved.duration_s}
            except transcription.Cancelled:
                return {"type": "cancelled"}

    def _hear_clips(self, request: dict[str, Any]) -> dict[str, Any]:
        from simorgh_voice.engine import transcription
        from simorgh_voice.engine.evaluation import hear_clips

        folder = Path(request["model_dir"])
        with self._models.lent(
            request["model_key"],
            folder_bytes(folder),
            lambda: transcription.load(
                folder, device=self._device, threads=self._threads, by_batches=self._lane == Lane.LONG
            ),
        ) as transcriber:
            try:
                return hear_clips(
                    transcriber,
                    Path(request["input"]),
                    transcription.TranscriptionSpec.from_json(request["spec"]),
                    decoder=self._decoder,
                    say=lambda line: self._say(request, line),
                    is_cancelled=lambda: self._wire.is_cancelled(request["id"]),
                )
            except transcription.Cancelled:
                return {"type": "cancelled"}

    def _synthesize(self, request: dict[str, Any]) -> dict[str, Any]:
        from simorgh_voice.engine import synthesis

        folder = Path(request["model_dir"]) if request["model_dir"] else None
        with self._models.lent(
            request["model_key"],
            folder_bytes(folder),
            lambda: synthesis.load(request["spec"]["voice"], folder, device=self._device, threads=self._threads),
        ) as voice:
            try:
                return synthesis.synthesize(
                    voice,
                    synthesis.SynthesisSpec.from_json(request["spec"]),
                    Path(request["output"]),
                    say=lambda line: self._say(request, line),
                    is_cancelled=lambda: self._wire.is_cancelled(request["id"]),
                )
            except synthesis.Cancelled:
                shutil.rmtree(request["output"], ignore_errors=True)
                return {"type": "cancelled"}

    def _say(self, request: dict[str, Any], line: dict[str, Any]) -> None:
        self._wire.send({"id": request["id"], **line})


def folder_bytes(folder: Path | None) -> int:
    """What the files of a model take: about what the model will."""
    return 0 if folder is None else sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
