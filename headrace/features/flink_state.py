"""Flink's state for groups of one kind, about: what the newest checkpoint of a job holds for the tasks that fold so.

No task says which group it is of. What it groups by is told, and what feeds it: so groups that are kept by the same
columns and read the same relation share what their tasks hold, by the cells of their tiles.
"""

import re
from collections.abc import Mapping, Sequence

from headrace.features.state_size import tile_cells
from headrace.stack.flink import Task
from lang.plan.plan import Group

_GROUPED = re.compile(r"GroupAggregate\(groupBy=\[([^\]]*)\]")
_PAIRS, _SESSIONS = (
    "Join(",
    "OverAggregate(",
)  # what only these relations have before the fold, see `lang.executors.flink_sql`


def cell_bytes(tasks: Mapping[str, Task], computed: Sequence[Group], group: Group) -> float | None:
    """Bytes for each cell of a tile of this group, by a job's tasks and the groups it computes; None where none does.

    A cell's bytes hold all tiles of all keys, and what is remembered to make pairs or sessions.
    """
    folds = {task: _feeding(tasks, task) for task, each in tasks.items() if _folds_by(each, group.entity)}
    mine = {each for feeding in folds.values() if _relation(tasks, feeding) == _relation_of(group) for each in feeding}
    alike = [each for each in computed if each.entity == group.entity and _relation_of(each) == _relation_of(group)]
    cells = sum(map(tile_cells, alike))
    return sum(tasks[task].state_bytes for task in mine) / cells if mine and cells else None


def _folds_by(task: Task, entity: tuple[str, ...]) -> bool:
    """Whether it groups by these columns and a tile: its size and start, or the start alone where all have one size."""
    found = _GROUPED.search(task.text)
    columns = found[1].split(", ") if found else []
    tile = columns[len(entity) :]
    return tuple(columns[: len(entity)]) == entity and (tile == ["size_ms", "start_ms"] or len(tile) == 1)


def _feeding(tasks: Mapping[str, Task], task: str) -> frozenset[str]:
    """The task, and all before it."""
    return frozenset({task}).union(*(_feeding(tasks, each) for each in tasks[task].inputs))


def _relation(tasks: Mapping[str, Task], feeding: frozenset[str]) -> tuple[bool, bool]:
    texts = "\n".join(tasks[task].text for task in feeding)
    return _PAIRS in texts, _SESSIONS in texts


def _relation_of(group: Group) -> tuple[bool, bool]:
    return group.pairs is not None, group.sessions is not None
