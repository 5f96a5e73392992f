"""A Whisper of random weights as transformers saves it: small, multilingual by its vocabulary, and whole."""

import json
from pathlib import Path

_LANGUAGES = ("en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it", "fa")
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
_NUM_WORDS = 50_257
_NUM_LANGUAGES = 99
NUM_TOKENS = 51_865


def make_whisper_folder(folder: Path, *, seed: int = 0) -> Path:
    """Save a tiny model with its tokenizer and generation settings."""
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=NUM_TOKENS,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        bos_token_id=_NUM_WORDS,
        eos_token_id=_NUM_WORDS,
        pad_token_id=_NUM_WORDS,
        decoder_start_token_id=_NUM_WORDS + 1,
        init_std=0.5,
    )
    model = WhisperForConditionalGeneration(config)
    specials = special_tokens()
    languages = {token: number for token, number in specials.items() if len(token) <= 8 and token[2:-2] in _names()}
    model.generation_config = GenerationConfig(
        suppress_tokens=[1, 2],
        begin_suppress_tokens=[220, _NUM_WORDS],
        alignment_heads=[[1, 0]],
        lang_to_id=languages,
        decoder_start_token_id=_NUM_WORDS + 1,
    )
    model.save_pretrained(folder)
    _write_tokenizer(folder, specials)
    return folder


def special_tokens() -> dict[str, int]:
    """The tokens behind the words, where a Whisper has them."""
    tokens = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{name}|>" for name in _names())]
    tokens += [f"<|{name}|>" for name in _TASKS]
    return {token: _NUM_WORDS + place for place, token in enumerate(tokens)}


def _names() -> list[str]:
    return [*_LANGUAGES, *(f"x{number:02}" for number in range(_NUM_LANGUAGES - len(_LANGUAGES)))]


def _write_tokenizer(folder: Path, specials: dict[str, int]) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # The last word of a multilingual one is empty: CTranslate2 tells them by it.
    words = [*letters, *(f"Ġw{number}" for number in range(_NUM_WORDS - len(letters) - 1)), ""]
    tokenizer = Tokenizer(models.BPE(vocab={word: place for place, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "WhisperTokenizer", "unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"bos_token": "<|endoftext|>"}))
    extractor = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16_000}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
