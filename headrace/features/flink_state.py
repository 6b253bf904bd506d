"""Estimate Flink's state for a group from the newest checkpoint of its job.

Flink does not name the group of a task, only the columns it groups by and the tasks that feed it. Groups with the same
key columns and the same input relation therefore share the state of their tasks, in proportion to the cells of their
tiles.
"""

import re
from collections.abc import Mapping, Sequence

from headrace.features.state_size import tile_cells
from headrace.lang.plan.plan import Group
from headrace.stack.flink_rest import Task

_GROUPED = re.compile(r"GroupAggregate\(groupBy=\[([^\]]*)\]")
# Operators that only these relations have before the aggregation, see `lang.executors.flink_sql`.
_PAIRS, _SESSIONS = "Join(", "OverAggregate("


def cell_bytes(tasks: Mapping[str, Task], computed: Sequence[Group], group: Group) -> float | None:
    """State bytes per cell of a tile of this group, from a job's tasks and the groups it computes; None if unknown.

    A cell's bytes include all tiles of all keys, and the state that pairs and sessions need.
    """
    folds = {task: _upstream(tasks, task) for task, each in tasks.items() if _groups_by(each, group.entity)}
    matching = {
        each for upstream in folds.values() if _relation(tasks, upstream) == _relation_of(group) for each in upstream
    }
    same = [each for each in computed if each.entity == group.entity and _relation_of(each) == _relation_of(group)]
    cells = sum(map(tile_cells, same))
    return sum(tasks[task].state_bytes for task in matching) / cells if matching and cells else None


def _groups_by(task: Task, entity: tuple[str, ...]) -> bool:
    """Whether a task groups by these columns and a tile: its size and start, or only its start if all have one size."""
    found = _GROUPED.search(task.text)
    columns = found[1].split(", ") if found else []
    tile = columns[len(entity) :]
    return tuple(columns[: len(entity)]) == entity and (tile == ["size_ms", "start_ms"] or len(tile) == 1)


def _upstream(tasks: Mapping[str, Task], task: str) -> frozenset[str]:
    """The task and all tasks before it."""
    return frozenset({task}).union(*(_upstream(tasks, each) for each in tasks[task].inputs))


def _relation(tasks: Mapping[str, Task], upstream: frozenset[str]) -> tuple[bool, bool]:
    texts = "\n".join(tasks[task].text for task in upstream)
    return _PAIRS in texts, _SESSIONS in texts


def _relation_of(group: Group) -> tuple[bool, bool]:
    return group.pairs is not None, group.sessions is not None
