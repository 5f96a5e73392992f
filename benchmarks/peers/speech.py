"""A library that hears or speaks, in a process of its own: loads once, then does a task for each line of stdin.

    python benchmarks/peers/speech.py NAME MODEL_DIR

A task is a JSON object: `{"samples": PATH of 16 kHz mono float32 (.npy)}` or `{"sentences": [...]}`; the answer
`{"seconds", "text"}` or `{"seconds", "audio_s", "first_s"}`. It prints `ready` first.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Answer = dict[str, Any]
Task = dict[str, Any]
_WINDOW = 30 * 16_000


def openai_whisper(folder: Path) -> Callable[[Task], Answer]:
    """OpenAI's own package, as it is called by default but for the language, in float32."""
    import whisper_weights
    from whisper.model import ModelDimensions, Whisper

    dimensions, state = whisper_weights.as_openai(whisper_weights.read(folder / "model.bin"))
    model = Whisper(ModelDimensions(**dimensions))
    model.load_state_dict(state, strict=False)
    model.eval()

    def hear(task: Task) -> Answer:
        found = model.transcribe(np.load(task["samples"]), language=task["language"], fp16=False)
        return {"text": found["text"]}

    return hear


def transformers_whisper(folder: Path) -> Callable[[Task], Answer]:
    """transformers in float32, window after window of 30 s."""
    import torch
    import whisper_weights
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()
    settings, state = whisper_weights.as_transformers(whisper_weights.read(folder / "model.bin"))
    ids = whisper_weights.special_ids(folder)
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    model = WhisperForConditionalGeneration(WhisperConfig(**settings, decoder_start_token_id=start))
    model.load_state_dict(state)
    model.eval()
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end, decoder_start_token_id=start)
    extract = WhisperFeatureExtractor(feature_size=settings["num_mel_bins"])
    tokenizer = _tokenizer(folder)

    def hear(task: Task) -> Answer:
        samples = np.load(task["samples"])
        begin = torch.tensor([[start, ids[f"<|{task['language']}|>"], ids["<|transcribe|>"], ids["<|notimestamps|>"]]])
        texts = []
        for at in range(0, len(samples), _WINDOW):
            features = extract(samples[at : at + _WINDOW], sampling_rate=16_000, return_tensors="pt").input_features
            with torch.inference_mode():
                tokens = super(type(model), model).generate(
                    features, decoder_input_ids=begin, max_new_tokens=400, do_sample=False
                )
            texts.append(tokenizer.decode(tokens[0].tolist(), skip_special_tokens=True))
        return {"text": " ".join(texts)}

    return hear


def faster_whisper(folder: Path) -> Callable[[Task], Answer]:
    """faster-whisper alone, int8, greedy, as a program that has it warm would call it."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8")

    def hear(task: Task) -> Answer:
        segments, _ = model.transcribe(np.load(task["samples"]), language=task["language"], beam_size=1)
        return {"text": "".join(segment.text for segment in segments)}

    return hear


def faster_whisper_batched(folder: Path) -> Callable[[Task], Answer]:
    """faster-whisper's own batching, 8 chunks at a time."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = BatchedInferencePipeline(WhisperModel(str(folder), device="cpu", compute_type="int8"))

    def hear(task: Task) -> Answer:
        samples = np.load(task["samples"])
        segments, _ = model.transcribe(samples, language=task["language"], beam_size=1, batch_size=8)
        return {"text": "".join(segment.text for segment in segments)}

    return hear


def vits_eager(folder: Path) -> Callable[[Task], Answer]:
    """VITS of transformers as it comes: float32, sentence by sentence."""
    import torch
    from transformers import VitsModel, VitsTokenizer

    model = VitsModel.from_pretrained(folder).eval()
    tokenizer = VitsTokenizer.from_pretrained(folder)

    def speak(task: Task) -> Answer:
        begun, first_s, num_samples = time.perf_counter(), 0.0, 0
        for sentence in task["sentences"]:
            with torch.inference_mode():
                torch.manual_seed(0)
                num_samples += model(**tokenizer(sentence, return_tensors="pt")).waveform.shape[-1]
            first_s = first_s or time.perf_counter() - begun
        return {"audio_s": num_samples / model.config.sampling_rate, "first_s": first_s}

    return speak


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


PEERS = {
    function.__name__: function
    for function in (openai_whisper, transformers_whisper, faster_whisper, faster_whisper_batched, vits_eager)
}


def main() -> None:
    """Serve until stdin ends."""
    sys.path.insert(0, str(Path(__file__).parent))
    work = PEERS[sys.argv[1]](Path(sys.argv[2]))
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        begun = time.perf_counter()
        answer = work(task)
        print(json.dumps({"seconds": time.perf_counter() - begun} | answer), flush=True)


if __name__ == "__main__":
    main()
