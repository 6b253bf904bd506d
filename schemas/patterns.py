"""Patterns of texts, and what each allows in words: an error shows the words, because a pattern explains nothing."""

from headrace.schemas.limits import NO_CONTROL_PATTERN, TEXT_PATTERN

TOKEN_CHARS = 11
"""Of an item in a page token."""
PAGE_TOKEN = f"^([A-Za-z0-9_-]{{{TOKEN_CHARS}}})+$"
KEY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
SHA256 = r"^[0-9a-f]{64}$"
ORIGIN = r"^(\*|https?://[A-Za-z0-9.\-\[\]:]+)$"
WORDS = {
    NO_CONTROL_PATTERN: "`str` without control characters",
    TEXT_PATTERN: "`str` without control characters, and not only blanks",
    PAGE_TOKEN: "the `next_page_token` of an answer of this API",
    KEY_NAME: "1 to 64 letters, digits, `.`, `_` and `-`, the first of them a letter or digit",
    SHA256: "64 hexadecimal digits",
    ORIGIN: "an origin such as https://shop.example without a path, or * for all",
}


def in_words(message: str) -> str:
    r"""A message of msgspec with what a text should be like in words.

    >>> in_words(r"Expected `str` matching regex '^[0-9a-f]{64}$'")
    'Expected 64 hexadecimal digits'
    """
    for pattern, words in WORDS.items():
        message = message.replace(f"`str` matching regex {pattern!r}", words)
    return message
