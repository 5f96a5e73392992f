"""Leaves out the oldest turns of a conversation that is longer than its room. A turn is never cut within."""

from collections.abc import Callable, Sequence

Message = dict[str, str]


def fit(
    messages: Sequence[Message], encode: Callable[[Sequence[Message]], list[int]], most_tokens: int
) -> tuple[list[int], int]:
    """The ids of the prompt with as few of the oldest turns left out as `most_tokens` ask for, and how many those are.

    A turn is a user's message with all that follows it, up to the next user's. System messages at the beginning and
    the last turn always stay, so the prompt may be longer than `most_tokens` still.
    """
    ids = encode(messages)
    head, turns = _parts(messages)
    low, high = 1, len(turns) - 1
    if len(ids) <= most_tokens or high < low:
        return ids, 0

    def without(num_cut: int) -> list[int]:
        return encode([*head, *(message for turn in turns[num_cut:] for message in turn)])

    best = without(high)
    if len(best) > most_tokens:
        return best, high
    while low < high:
        middle = (low + high) // 2
        tried = without(middle)
        if len(tried) <= most_tokens:
            best, high = tried, middle
        else:
            low = middle + 1
    return best, high


def _parts(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """The system messages at the beginning, and the turns. What comes before the first user's message is one too."""
    start = next((at for at, message in enumerate(messages) if message["role"] != "system"), len(messages))
    turns: list[list[Message]] = []
    for message in messages[start:]:
        if message["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return list(messages[:start]), turns
