"""Renders a test case from recorded events and the values that the oracle reads from them."""

import json
from collections.abc import Sequence

from headrace.lang.executors.oracle import Oracle
from headrace.lang.expressions.per_event import Event
from headrace.lang.expressions.tree import Cell, columns_of
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import Group, Key


def render_case(group: Group, key: Key, events: Sequence[Event], *, at_ms: int) -> str:
    """Render a case of a test file: the events, and the key's features at a time as the oracle reads them.

    Rollups are left out, because they rank other keys.

    Raises:
        ValueError: a cell contains a comma, a hash or a line break, which a table cannot hold.
    """
    columns = _columns(group)
    rows = [", ".join(columns), *(", ".join(_text(event.get(name)) for name in columns) for event in events)]
    values = Oracle(group, events).read(key, at_ms=at_ms).values
    read = {"at": at_ms, "key": list(key), **values}
    expected = ", ".join(f"{name}: {json.dumps(value)}" for name, value in read.items())
    lines = [
        f"- name: {json.dumps(f'recorded: {group.name} of ' + ':'.join(key))}",
        "  given:",
        f"    {group.source.name}: |",
        *(f"      {row}" for row in rows),
        "  expect:",
        f"    - {{{expected}}}",
    ]
    return "\n".join(lines) + "\n"


def _columns(group: Group) -> list[str]:
    """The columns that identify the event, those that ingest requires, then those that the group reads."""
    source = group.source
    expressions = [group.where, *(family.filter for family in group.families)]
    expressions += [each for partial in group.partials for each in (partial.argument, partial.filter)]
    expressions += [each for sequence in group.sequences for each in (sequence.argument, sequence.filter)]
    read = [name for expression in expressions if expression is not None for name in columns_of(expression)]
    keys: tuple[str, ...] = group.entity
    if group.pairs is not None:
        keys = (*group.pairs.keys, group.pairs.column)
        read += columns_of(group.pairs.filter) if group.pairs.filter is not None else ()
    if group.sessions is not None:
        keys = (source.key, *keys)
    made_of = {column.name: tuple(columns_of(column.expression)) for column in source.computed}
    read = [given for name in (*keys, *read) for given in made_of.get(name, (name,))]
    known = {column.name for column in source.event_columns}
    required = [column.name for column in source.columns if column.required]  # without them ingest would refuse
    names = (source.dedupe, source.event_time, RECEIVED_AT, *required, *read)
    return [name for name in dict.fromkeys(names) if name in known]


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, dict):
        return _text(";".join(f"{name}={value}" for name, value in cell.items()))
    if isinstance(cell, bool):
        return str(cell).lower()
    text = str(cell)
    if text != text.strip() or any(sign in text for sign in ",#\n"):
        message = f"{text!r} cannot be a cell of a test file: it has a comma, a hash, a line break or outer spaces"
        raise ValueError(message)
    return text
