"""What a file tells of items: titles, categories, years."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from headrace.errors import UsageProblem
from headrace.evaluation.reading import summary, table
from headrace.evaluation.reading.cells import value_of
from headrace.evaluation.reading.summary import Summary

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
    return understood(path, columns)[0]


def understood(path: Path, columns: Mapping[str, str]) -> tuple[dict[str, About], Summary]:
    """Items by id, and how their file was understood.

    Raises:
        UsageProblem: there is no such file or column, or it cannot be read.
    """
    found = table.read(path, list(columns.values()))
    places = {word: found.place(name) for word, name in columns.items()}
    records = ({word: row.fields[place].strip() for word, place in places.items()} for row in found.rows)
    items = {item: _about(record) for record in records if (item := value_of(record["item"]))}
    rows = len(found.rows) + len(found.faults)
    return items, Summary(
        file=path.name,
        form=found.form,
        rows=rows,
        read=len(found.rows),
        columns=summary.columns_of(found),
        time=None,
        left_out=summary.left_out_of(found.faults),
    )


def _about(record: Mapping[str, str]) -> About:
    title, categories, year = (record.get(word, "") for word in _WORDS[1:])
    categories, year = value_of(categories), value_of(year)
    tags = [each.strip() for each in categories.split("|" if "|" in categories else ",") if each.strip()]
    return About(category=tags[0] if tags else "", title=title or None, tags=[*tags, *([year] if year else [])])
