"""Which ids of a log a file of items knows, and why others are not found."""

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
_WORTH = 0.1  # of the items: less more found is chance


class Known(Struct, frozen=True):
    """How many of a log's items are known, and in what the others' ids differ.

    Attributes:
        would: how many would be known if ids did not `differ_in` that.
    """

    items: int
    known: int
    differ_in: str = ""
    would: int = 0

    @property
    def line(self) -> str:
        """For people."""
        hint = f"; ids differ in {self.differ_in}: without it {self.would} would be known" if self.differ_in else ""
        return f"{self.known} of {self.items} items of the log are in --items{hint}"


def known_of(ids: Collection[str], known: Collection[str]) -> Known:
    """Compare the ids of a log with those of a file.

    >>> known_of(["007", "008"], ["7", "8"]).line
    '0 of 2 items of the log are in --items; ids differ in a leading zero: without it 2 would be known'
    """
    log, file = set(ids), set(known)
    direct = len(log & file)
    best, would = "", direct
    for name, rewrite in _REWRITTEN.items():
        there = {rewrite(each) for each in file}
        found = sum(rewrite(each) in there for each in log)
        if found > would:
            best, would = name, found
    if would - direct < max(1, _WORTH * len(log)):
        best, would = "", 0
    return Known(len(log), direct, best, would)
