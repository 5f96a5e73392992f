"""Hearing and speaking: what is asked for, and what comes of it, on the native surface and in OpenAI's shapes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from simorgh_shared.schemas.jobs import JobView

TranscriptFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
Granularity = Literal["word", "segment"]
VoiceTask = Literal["transcribe", "translate"]
AudioFormat = Literal["mp3", "wav", "flac", "opus", "aac", "pcm"]
Name = Annotated[str, Field(min_length=1, max_length=300)]


class ListeningForm(BaseModel):
    """What is said beside an audio file, on either surface."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Name | None = None
    language: Annotated[str, Field(max_length=60)] | None = None
    prompt: Annotated[str, Field(max_length=10_000)] | None = None
    temperature: float = Field(0.0, ge=0, le=1)
    task: VoiceTask = "transcribe"
    response_format: TranscriptFormat = "json"
    timestamp_granularities: frozenset[Granularity] = frozenset()
    vad_filter: bool = True
    stream: bool = False


class WordView(BaseModel):
    """A word as it was heard; times in seconds from the beginning of the file."""

    word: str
    start: float
    end: float
    probability: float | None = None


class SegmentView(BaseModel):
    """A stretch of speech, in the members that Whisper's users know."""

    id: int
    seek: int = 0
    """Where the window began, in hundredths of a second."""
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class TranscriptView(BaseModel):
    """What was heard."""

    job_id: str
    model_version_id: str | None
    task: VoiceTask
    language: str | None
    """Whisper's code of the language that was spoken; null where nothing was said and none was named."""
    language_probability: float | None
    duration_s: float | None
    """Of the whole file; null while it is not known yet."""
    text: str
    segments: list[SegmentView] | None = None
    words: list[WordView] | None = None


class TranscriptionJobView(BaseModel):
    """A job that writes down an audio file, and its text as far as there is any."""

    job: JobView
    is_complete: bool
    """False while more text may come."""
    transcript: TranscriptView | None


class SegmentEvent(BaseModel):
    """An event of a streamed transcription: some segments more."""

    language: str | None
    segments: list[SegmentView]


class VoiceStarted(BaseModel):
    """The first event of a streamed transcription."""

    job_id: str


class VoiceBroken(BaseModel):
    """The last event of a stream that came to nothing."""

    code: str
    error: str


class DurationUsage(BaseModel):
    """How much was heard, as OpenAI tells it."""

    type: Literal["duration"] = "duration"
    seconds: float


class OpenAITranscription(BaseModel):
    """A transcription in OpenAI's `json` shape."""

    text: str
    usage: DurationUsage


class OpenAITranscriptionVerbose(BaseModel):
    """A transcription in OpenAI's `verbose_json` shape."""

    task: VoiceTask
    language: str
    """The language's English name, as OpenAI writes it; empty where nothing was said."""
    duration: float
    text: str
    segments: list[SegmentView] | None = None
    words: list[WordView] | None = None
    usage: DurationUsage


class SpeechBody(BaseModel):
    """A text to be spoken."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    text: str
    voice: Name | None = None
    """A voice of GET /api/tts/voices: a model's name or id, or `espeak:fa`. Default: the best one of the language."""
    language: Annotated[str, Field(max_length=60)] | None = None
    """A code such as `fa`, or a name. Default: told by the letters of the text."""
    format: AudioFormat = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4)
    pitch: float | None = Field(None, ge=0.5, le=2)
    """Higher than 1 is a higher voice; only where the voice can."""
    verbalise: bool = True
    """Write numbers, dates and signs out as words before they are spoken."""


class VoiceId(BaseModel):
    """OpenAI's way to name a voice of one's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Name


class OpenAISpeechBody(BaseModel):
    """A text to be spoken, as OpenAI's clients send it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Name
    """A voice's model, `espeak`, or one of OpenAI's names (`tts-1` …), which leave the choice to `voice`."""
    input: str
    voice: Name | VoiceId
    """A voice of GET /api/tts/voices, or one of OpenAI's names (`alloy` …): the default voice of the language then."""
    response_format: AudioFormat = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4)
    instructions: str | None = None
    """Refused where it says anything: no engine here can follow it."""
    stream_format: Literal["audio", "sse"] = "audio"
    language: Annotated[str, Field(max_length=60)] | None = None
    """Not OpenAI's: the language of the text, where its letters leave a doubt."""

    @property
    def voice_name(self) -> str:
        """The voice by name, however it was sent."""
        return self.voice if isinstance(self.voice, str) else self.voice.id


class VoiceView(BaseModel):
    """A voice that can be asked for."""

    voice: str
    """What to write as `voice`."""
    name: str
    languages: list[str]
    language_names: list[str]
    engine: Literal["vits", "espeak"]
    model_version_id: str | None
    licence: str | None
    """Null where the model's own card says it."""
    can_pitch: bool
    is_default: bool
    """Whether a text of its language is spoken by it when no voice is named."""


class SpeechJobView(BaseModel):
    """A job that speaks a text."""

    job: JobView
    audio_url: str | None
    """Where the finished file is; null until then, and once it was let go."""
    parts: list[dict[str, Any]]
    """What was made so far, a sentence or more each: `number`, `text`, `bytes`, `audio_s`."""
