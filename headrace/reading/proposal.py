"""Guess which columns of a table are the user, the item and the time, from their names, kinds and values."""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from headrace.reading.cells import value_of
from headrace.reading.table import Table
from headrace.reading.times import Clock, detect_clock

_SAMPLE = 5_000  # rows used
_WORDS: dict[str, tuple[str, ...]] = {  # the likeliest first
    "time": ("timestamp", "time", "ts", "datetime", "at", "date", "dat", "when", "created", "occurred", "unixtime"),
    "label": ("clicked", "click", "label", "converted", "purchased", "bought", "liked", "like", "target", "y"),
    "session": ("session", "visit"),
    "slate": ("slate", "impression", "request", "srch"),
    "user": (
        *(
            "user",
            "uid",
            "userid",
            "customer",
            "visitor",
            "member",
            "client",
            "reviewer",
            "account",
            "person",
            "profile",
        ),
        *("who", "u", "pseudo", "author"),
    ),
    "item": (
        *("item", "itemid", "iid", "product", "article", "movie", "film", "video", "track", "song", "book", "isbn"),
        *("asin", "sku", "business", "game", "news", "ad", "content", "page", "listing", "anime", "artist", "what"),
        *("i", "id"),
    ),
}
_NOT_IDS = re.compile(
    r"title|name|category|price|brand|type|rating|score|count|text|description|year|age|feature|affinity", re.IGNORECASE
)
_LABELS = frozenset({"0", "1", "0.0", "1.0", "true", "false", "True", "False"})


class Proposal(Struct, frozen=True, kw_only=True):
    """The proposed `--map`; empty if `missing` names words that no column seems to hold."""

    map: str
    task: str
    missing: list[str]
    columns: dict[str, str]


def propose(table: Table) -> Proposal:
    """Propose a map by the names and values of a table's columns."""
    columns = {
        name: [value_of(row.fields[index]) for row in table.rows[:_SAMPLE]]
        for index, name in enumerate(table.names)
        if name and not re.search(r"[,=]", name)
    }
    found: dict[str, str] = {}
    for word in _WORDS:
        left = {name: values for name, values in columns.items() if name not in found.values()}
        fitting = [name for name, values in left.items() if _fits(word, values)]
        named = _by_name(word, fitting)
        if word == "time":  # of several, the one with the most distinct values
            fine = [name for name in fitting if _by_name(word, [name])]
            named = max(fine, key=lambda name: len(set(left[name])), default=None)
        if named is None and (word == "time" or not table.form.header):
            named = _by_values(word, {name: left[name] for name in fitting})
        if named is not None:
            found[word] = named
    if table.form.header:
        _fill_ids(found, columns)
    missing = [word for word in ("user", "item", "time") if word not in found]
    order = ("user", "item", "time", "label", "session", "slate")
    text = ",".join(f"{word}={found[word]}" for word in order if word in found)
    return Proposal(
        map="" if missing else text, task="ctr" if "label" in found else "rank", missing=missing, columns=found
    )


def clock_in(values: Sequence[str]) -> Clock | None:
    """The clock of a column if most of its cells are times, else None."""
    filled = [value for value in values if value]
    try:
        clock = detect_clock(filled)
        good = sum(_reads(clock, value) for value in filled)
    except ValueError:
        return None
    return clock if filled and 2 * good > len(filled) else None


def _reads(clock: Clock, value: str) -> bool:
    try:
        return bool(clock.parse(value))
    except ValueError:
        return False


def _fits(word: str, values: Sequence[str]) -> bool:
    filled = [value for value in values if value]
    if word == "time":
        return clock_in(filled) is not None
    if word == "label":
        return len(set(filled)) == 2 and set(filled) <= _LABELS
    return bool(filled)


def _by_name(word: str, names: Sequence[str]) -> str | None:
    """The column whose name contains the likeliest word; among equals, id columns come first."""
    scored: list[tuple[int, int, str]] = []
    for name in names:
        parts = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
        ranks = [rank for rank, each in enumerate(_WORDS[word]) if each in parts or each == "".join(parts)]
        if ranks and (word not in ("user", "item") or not _NOT_IDS.search(name)):
            scored.append((0 if "id" in parts else 1, min(ranks), name))
    by_word = word in ("time", "label")
    best = min(scored, key=lambda each: each[1:2] if by_word else each[:2], default=None)
    return best[2] if best else None


def _by_values(word: str, columns: Mapping[str, Sequence[str]]) -> str | None:
    """Guess without names: the first column of times; ids in the order in which logs usually write them."""
    if word == "time":
        return next(iter(columns), None)
    if word in ("user", "item"):
        return next((name for name, values in columns.items() if len(set(values)) > 2), None)
    return None


def _fill_ids(found: dict[str, str], columns: Mapping[str, Sequence[str]]) -> None:
    """If no name matched the user or the item, use the only remaining id column, if there is exactly one."""
    for word in ("user", "item"):
        if word in found:
            continue
        ids = [name for name in columns if name not in found.values() and re.search(r"(^|_)id$|[a-z]Id$", name)]
        if len(ids) == 1:
            found[word] = ids[0]
