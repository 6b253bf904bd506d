"""What a file tells of items: titles, categories, years."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from headrace.errors import UsageProblem
from headrace.evaluation.table import records

_WORDS = ("item", "title", "categories", "year")


class About(Struct, frozen=True, kw_only=True):
    """What is known of an item: its first category, and all of them and its year as tags."""

    category: str = ""
    title: str | None = None
    tags: list[str] = field(default_factory=list[str])


def columns_of(mapping: str) -> Mapping[str, str]:
    """`item=…[,title=…][,categories=…][,year=…]` as columns by word.

    Raises:
        UsageProblem: a part is not `word=column`, a word is not known, or item is missing.
    """
    given = {word.strip(): name.strip() for word, _, name in (part.partition("=") for part in mapping.split(","))}
    if not all(given.values()) or not set(given) <= set(_WORDS) or "item" not in given:
        message = f"--item-map is {mapping!r}; write item=… and, if there are, title=…, categories=…, year=…"
        raise UsageProblem(message)
    return given


def read(path: Path, columns: Mapping[str, str]) -> dict[str, About]:
    """Items by id; categories are separated by `|`, or by commas where there is none.

    Raises:
        UsageProblem: there is no such file or column, or it cannot be read.
    """
    return {
        record.get(columns["item"], "").strip(): _about(record, columns)
        for _, record in records(path, list(columns.values()))
    }


def _about(record: Mapping[str, str], columns: Mapping[str, str]) -> About:
    title, categories, year = (record.get(columns.get(word, ""), "").strip() for word in _WORDS[1:])
    tags = [each.strip() for each in categories.split("|" if "|" in categories else ",") if each.strip()]
    return About(category=tags[0] if tags else "", title=title or None, tags=[*tags, *([year] if year else [])])
