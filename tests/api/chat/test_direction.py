"""The direction of a message, as its reader would see it."""

import time

import pytest

from simorgh_shared.persian.direction import direction


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("سلام دنیا", "rtl"),
        ("Hello world", "ltr"),
        ("שלום", "rtl"),
        ("Привет", "ltr"),
        ("你好", "ltr"),
        ("۱۲۳ پرنده", "rtl"),
        ("123 birds", "ltr"),
        ("2024-05-01: گزارش", "rtl"),
        ("٪۵۰ off", "ltr"),
        ("«نقل قول» from a book", "rtl"),
        ("...(?!) چرا", "rtl"),
        ("🐦‍🔥 سیمرغ rises", "rtl"),
        ("🇮🇷 ایران", "rtl"),  # Unicode takes the letters of a flag for Latin ones
        ("🅰️ گزینه‌ی نخست", "rtl"),
        ("ℹ️ راهنما", "rtl"),
        ("👍🏽 fine", "ltr"),
        ("https://example.org/page را ببین", "rtl"),
        ("www.example.org را ببین", "rtl"),
        ("https://fa.wikipedia.org/wiki/هدهد is a bird", "ltr"),
        ("info@example.org نشانی من است", "rtl"),
        ("`print(x)` چه می‌کند؟", "rtl"),
        ("``a ` b`` یعنی چه؟", "rtl"),
        ("```python\nprint('سلام')\n```\nWhat does it do?", "ltr"),
        ("```\nfor x in y:", "rtl"),  # cut off inside the code: nothing else was said
        ("`سلام` means hello", "ltr"),
        ("# عنوان with English", "rtl"),
        ("- [ ] buy نان", "ltr"),
        ("Simorgh سیمرغ است", "ltr"),
        ("سیمرغ is Simorgh", "rtl"),
        ("\u200fabc", "rtl"),  # a mark that says so
        ("\u200eسلام", "ltr"),
        ("\u200c\u200dسلام", "rtl"),
        ("", "rtl"),
        ("123 ۴۵۶ !?", "rtl"),
        ("🐦‍🔥", "rtl"),
        ("https://example.org", "rtl"),
    ],
)
def test_it_is_that_of_the_first_strong_character(text: str, expected: str) -> None:
    """R-CHAT-2: digits, punctuation, pictures, addresses and code say nothing of the language."""
    assert direction(text) == expected


def test_what_says_nothing_takes_the_default() -> None:
    """R-CHAT-2."""
    assert direction("42", default="ltr") == "ltr"


@pytest.mark.parametrize("text", ["a" * 100_000, "a.b-" * 25_000, "`" * 100_000, "a@" * 50_000, "``x`" * 25_000])
def test_long_texts_take_no_longer_than_they_must(text: str) -> None:
    """R-CHAT-2: a pattern that goes back would take minutes for each of these."""
    began = time.perf_counter()
    direction(text)
    assert time.perf_counter() - began < 1.0
