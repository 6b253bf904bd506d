"""Read a file of items: titles, categories, years."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from headrace.errors import UsageProblem
from headrace.reading import summary, table
from headrace.reading.cells import value_of
from headrace.reading.summary import Summary

_WORDS = ("item", "title", "categories", "year")


class ItemDetails(Struct, frozen=True, kw_only=True):
    """Details of an item: `category` is its first category, `tags` are all categories and the year."""

    category: str = ""
    title: str | None = None
    tags: list[str] = field(default_factory=list[str])


def parse_columns(mapping: str) -> Mapping[str, str]:
    """Parse `item=…[,title=…][,categories=…][,year=…]` into columns by word.

    Raises:
        UsageProblem: a part is not `word=column`, a word is unknown, or item is missing.
    """
    given = {word.strip(): name.strip() for word, _, name in (part.partition("=") for part in mapping.split(","))}
    if not all(given.values()) or not set(given) <= set(_WORDS) or "item" not in given:
        message = f"--item-map is {mapping!r}; write item=…, and optionally title=…, categories=…, year=…"
        raise UsageProblem(message)
    return given


def read(path: Path, columns: Mapping[str, str]) -> dict[str, ItemDetails]:
    """Read items by id; categories are separated by `|`, or by commas if the cell has no `|`.

    Raises:
        UsageProblem: the file or a column does not exist, or the file cannot be read.
    """
    return read_with_summary(path, columns)[0]


def read_with_summary(path: Path, columns: Mapping[str, str]) -> tuple[dict[str, ItemDetails], Summary]:
    """Read items by id, and summarize how their file was read.

    Raises:
        UsageProblem: the file or a column does not exist, or the file cannot be read.
    """
    found = table.read(path, list(columns.values()))
    indexes = {word: found.index_of(name) for word, name in columns.items()}
    records = ({word: row.fields[index].strip() for word, index in indexes.items()} for row in found.rows)
    items = {item: _details(record) for record in records if (item := value_of(record["item"]))}
    rows = len(found.rows) + len(found.unusable)
    return items, Summary(
        file=path.name,
        form=found.form,
        rows=rows,
        read=len(found.rows),
        columns=summary.describe_columns(found),
        time=None,
        left_out=summary.group_by_reason(found.unusable),
    )


def _details(record: Mapping[str, str]) -> ItemDetails:
    title, categories, year = (record.get(word, "") for word in _WORDS[1:])
    categories, year = value_of(categories), value_of(year)
    tags = [each.strip() for each in categories.split("|" if "|" in categories else ",") if each.strip()]
    return ItemDetails(category=tags[0] if tags else "", title=title or None, tags=[*tags, *([year] if year else [])])
