"""`context` as clients send it, and as the texts by name that events and exposures carry."""

from collections.abc import Mapping
from typing import Annotated, TypeAlias, cast

import msgspec

from headrace.schemas.dead_letter import Reason
from headrace.schemas.limits import INT64_LEAST, INT64_MOST, MAP_ENTRIES, MAP_VALUE_CHARS, text_fault

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=INT64_LEAST, le=INT64_MOST)]
Sent: TypeAlias = dict[str, str | Int64 | float | bool | None]


def as_texts(sent: Mapping[str, str | float | bool | None]) -> dict[str, str]:
    """Convert values to text: NULLs and blanks are dropped, numbers and booleans are written as in JSON.

    >>> as_texts({"a": None, "b": 7, "c": 1.5, "d": True, "e": " ", "f": "x"})
    {'b': '7', 'c': '1.5', 'd': 'true', 'f': 'x'}
    """
    if all(isinstance(value, str) and value and not value.isspace() for value in sent.values()):
        return cast("dict[str, str]", dict(sent))
    return {key: text for key, value in sent.items() if (text := _text(value)) and not text.isspace()}


def context_fault(texts: Mapping[str, str]) -> tuple[Reason, str] | None:
    """(code, why) of the first entry that is not accepted; None if all are."""
    if len(texts) > MAP_ENTRIES:
        return "length", f"{len(texts)} entries, at most {MAP_ENTRIES} are accepted"
    for key, value in texts.items():
        if found := text_fault(key) or text_fault(value, MAP_VALUE_CHARS):
            return found[0], f"entry {key[:60]!a}: {found[1]}"
    return None


def _text(value: str | float | bool | None) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
