"""A VITS voice small enough to make anew in a test: random weights, so that it speaks noise, but as a whole folder."""

import json
from pathlib import Path

LETTERS = " '-اآبپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیئءأؤةabcdefghijklmnopqrstuvwxyz"


def make_vits_folder(folder: Path, *, language: str = "fas", seed: int = 0, **settings: object) -> Path:
    """Save a tiny model with its vocabulary as MMS folders have it; `settings` go into tokenizer_config.json."""
    import torch
    from transformers import VitsConfig, VitsModel

    torch.manual_seed(seed)
    model = VitsModel(
        VitsConfig(
            vocab_size=len(LETTERS) + 1,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            ffn_dim=16,
            flow_size=16,
            spectrogram_bins=9,
            prior_encoder_num_flows=2,
            prior_encoder_num_wavenet_layers=1,
            posterior_encoder_num_wavenet_layers=1,
            duration_predictor_filter_channels=16,
            duration_predictor_num_flows=2,
            upsample_initial_channel=16,
            upsample_rates=[8, 8, 2, 2],
            upsample_kernel_sizes=[16, 16, 4, 4],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1, 3]],
        )
    )
    model.save_pretrained(folder)
    numbers = {"<pad>": 0} | {letter: number for number, letter in enumerate(LETTERS, 1)}
    (folder / "vocab.json").write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    tokenizer = {
        "tokenizer_class": "VitsTokenizer",
        "language": language,
        "add_blank": True,
        "normalize": True,
        "phonemize": False,
        "is_uroman": False,
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    } | settings
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder
