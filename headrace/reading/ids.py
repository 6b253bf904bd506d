"""Match the ids of a log with those of a file of items, and explain why others do not match."""

import re
import unicodedata
from collections.abc import Callable, Collection

from msgspec import Struct

_REWRITTEN: dict[str, Callable[[str], str]] = {
    "a leading zero": lambda text: text.lstrip("0") or "0",
    "case": str.casefold,
    "whitespace": lambda text: "".join(text.split()),
    "a trailing .0": lambda text: re.sub(r"\.0+$", "", text),
    "quotes": lambda text: text.strip("\"'`"),
    "Unicode form": lambda text: unicodedata.normalize("NFKC", text),
    "punctuation": lambda text: re.sub(r"[^\w]|_", "", text),
    "letters around the digits": lambda text: re.sub(r"[^0-9]", "", text) or text,
    "letters, leading zeros and case": lambda text: re.sub(r"[^0-9]", "", text).lstrip("0") or text.casefold(),
}
_WORTH = 0.1  # share of the items; a smaller gain is chance


class IdMatch(Struct, frozen=True):
    """How many of a log's items the file contains, and how the other ids differ.

    Attributes:
        items: items of the log.
        known: items that the file contains.
        differ_in: the difference that explains most of the others; empty if none does.
        would: items that would be known without that difference.
    """

    items: int
    known: int
    differ_in: str = ""
    would: int = 0

    @property
    def line(self) -> str:
        """Sentence for people."""
        hint = f"; ids differ in {self.differ_in}: without it {self.would} would match" if self.differ_in else ""
        return f"{self.known} of {self.items} items of the log are in --items{hint}"


def match_ids(ids: Collection[str], known: Collection[str]) -> IdMatch:
    """Compare the ids of a log with those of a file.

    >>> match_ids(["007", "008"], ["7", "8"]).line
    '0 of 2 items of the log are in --items; ids differ in a leading zero: without it 2 would match'
    """
    log, file = set(ids), set(known)
    direct = len(log & file)
    best, would = "", direct
    for name, rewrite in _REWRITTEN.items():
        rewritten = {rewrite(each) for each in file}
        found = sum(rewrite(each) in rewritten for each in log)
        if found > would:
            best, would = name, found
    if would - direct < max(1, _WORTH * len(log)):
        best, would = "", 0
    return IdMatch(len(log), direct, best, would)
