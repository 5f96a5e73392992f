"""What a voice worker is told by its environment."""

from pathlib import Path

from pydantic import Field

from simorgh_shared.worker.settings import WorkerSettings


class VoiceSettings(WorkerSettings):
    """Settings of `simorgh-voice`."""

    voice_cache_dir: Path = Path("voice-cache")
    """Where model folders of the registry are kept."""
    voice_memory_bytes: int | None = Field(None, gt=0)
    """What the models of each engine may take; None: an eighth of the machine's memory."""
    voice_threads: int | None = Field(None, gt=0)
    """Of each engine; None: as many as this process may use processors."""
    voice_long_gives_way: bool = True
    """Whether the long engine takes only the processor time that nobody else wants. A machine of its own may say no."""
    engine_start_timeout_s: float = Field(60.0, gt=0)
    """An engine that is not ready after so long is started anew."""
