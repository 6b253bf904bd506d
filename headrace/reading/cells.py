"""Classify single cells of text: empty, number, date or text."""

import re
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["empty", "whole number", "number", "date", "text"]
_EMPTY = frozenset({"", r"\n", "null", "(null)", "<null>", "na", "<na>", "n/a", "#n/a", "nan", "none", "nil"})
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}(?![0-9]).*")


def value_of(text: str) -> str:
    r"""Strip a cell; the words that databases write for missing values (`NULL`, `\N`, `NA`) become ''.

    >>> [value_of(text) for text in (" 7 ", "NULL", r"\N", "Nancy")]
    ['7', '', '', 'Nancy']
    """
    stripped = text.strip()
    return "" if stripped.lower() in _EMPTY else stripped


def kind_of(value: str) -> Kind:
    """Kind of a cell's value; only ASCII digits make a number.

    >>> [kind_of(value) for value in ("", "007", "1e3", "2020-09-13 12:27:40 UTC", "inf")]
    ['empty', 'whole number', 'number', 'date', 'text']
    """
    if not value:
        return "empty"
    if _WHOLE.fullmatch(value):
        return "whole number"
    if _NUMBER.fullmatch(value):
        return "number"
    return "date" if _DATE.fullmatch(value) else "text"


def is_number_or_date(text: str) -> bool:
    """Whether a cell holds a number or a date."""
    return kind_of(value_of(text)) in ("whole number", "number", "date")
