"""The byte-level BPE tokenizer: trained on the rows, exact in both directions, with the roles' markers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PAD, END, TEXT = "<|pad|>", "<|end|>", "<|text|>"
ROLE_MARKERS = {
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "system": "<|system|>",
    "tool": "<|tool|>",
    "text": TEXT,
}
"""What a segment begins with. `text` opens a plain text, which has no roles."""
SPECIAL_TOKENS = (PAD, END, *ROLE_MARKERS.values())

# A word is letters with their marks and the joiners inside it (ZWNJ, U+200C, is part of a Persian word: می‌روم), with
# the one space before it; digits come singly, so that numbers of any length are spelt alike.
_WORDS = Regex(r" ?[\p{L}\p{M}\x{200C}\x{200D}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}\x{200C}\x{200D}]+|\s+(?!\S)|\s+")

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + ('system' if message['role'] == 'developer' else message['role']) + '|>' }}"
    "{{ message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""Exactly how `encode_row` joins the segments of a row."""


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A tokenizer of at most `vocab_size` tokens for these texts; the same texts give the same one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_WORDS, behavior="isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return literal(tokenizer)


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a model folder or a checkpoint."""
    return literal(Tokenizer.from_file(str(path)))


def literal(tokenizer: Tokenizer) -> Tokenizer:
    """Take `<|end|>` in a text for the letters it is made of: only we place markers."""
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without any marker."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def special_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of one of our special tokens."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no {token}")
    return int(found)
