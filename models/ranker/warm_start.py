"""The parameters of one ranker as the start of another, whose declared inputs, heads or item vectors differ.

Every axis of a tensor has labels: names of inputs, of heads, of parts of the joint input. A parameter is carried over
if the labels of its row and its column exist on both sides. An input that is new adds nothing to what its donor
predicted until it has learned something (Chen et al. 2016, "Net2Net", section 2.2: begin with the same function).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
from msgspec import UNSET, structs
from numpy.typing import NDArray

from headrace.models.array_types import Floats, Indexes
from headrace.models.ranker.arrays import TrainingState
from headrace.models.ranker.config import STATISTICS, RankerConfig
from headrace.models.tables.table import TableState

Labels: TypeAlias = tuple[str, ...]
_JOINT = ("user", "item", "category", "attended", "mean", "product")


def carry_over(
    donor: TrainingState, *, of: RankerConfig, to: RankerConfig, initial: Mapping[str, Floats]
) -> TrainingState:
    """Return the state in which a model with settings `to` starts.

    Args:
        donor: the state of a model with settings `of`.
        of: the donor's settings.
        to: the new model's settings.
        initial: its untrained dense tensors, for what is not carried over.
    """
    carried = partial(_carried_tensors, of=of, to=to)
    blank = {name: np.zeros_like(values) for name, values in initial.items()}
    moments = {
        name: np.concatenate([each.reshape(-1) for each in carried(blank, _views(flat, of)).values()])
        for name, flat in donor.moments.items()
    }
    columns = _row_labels(to), _row_labels(of)
    tables = {name: _carried_table(table, columns=columns) for name, table in donor.tables.items()}
    return structs.replace(donor, dense=carried(initial, donor.dense), moments=moments, tables=tables)


def axes(config: RankerConfig) -> dict[str, tuple[Labels, ...]]:
    """Return the labels of every dense tensor's axes, as long as its shape says."""
    inputs, heads, score = _input_labels(config), _head_labels(config), config.heads.score.name
    deep = _numbered("deep", config.hidden[1])
    joint = (*_blocks((*_JOINT, *_fused_names(config)), config.dim), *inputs)
    named: dict[str, tuple[Labels | None, ...]] = {
        **dict.fromkeys(STATISTICS, (inputs,)),
        "wide": (inputs, heads),
        "mlp_1": (joint, None),
        "head": ((*joint, *deep), heads),
        "head_bias": (heads,),
        "position": (None, heads),
        "light": (tuple(f"{label} of {score}" for label in inputs),),
        "light_bias": ((score,),),
        "user_vector": (_blocks(("user", "mean", "last"), config.dim), None),
        "item_vector": (_blocks(("item", "category"), config.dim), None),
    }
    for layer in range(config.crosses):
        named |= {
            f"cross_{layer}_down": (joint, None),
            f"cross_{layer}_up": (None, joint),
            f"cross_{layer}_bias": (joint,),
        }
    named |= {name: (None, heads) for name in config.fusion_shapes() if name.startswith("opinion")}
    return {
        name: tuple(
            _numbered("", size) if labels is None else labels
            for labels, size in zip(named.get(name, (None,) * len(shape)), shape, strict=True)
        )
        for name, shape in config.shapes().items()
    }


def _input_labels(config: RankerConfig) -> Labels:
    """A column of another shape or scale is another input."""
    columns = [f"{column.name} {column.shape} {column.scale}" for column in config.inputs.columns]
    return (*columns, *config.inputs.dense[len(columns) :])


def _head_labels(config: RankerConfig) -> Labels:
    """A head of another kind is another head: its output means something else."""
    return tuple(f"{head.name} {head.kind}" for head in config.heads.ordered)


def _row_labels(config: RankerConfig) -> Labels:
    """Of the columns of a table's rows: a bias for each head, then the vector."""
    return (*_head_labels(config), *_numbered("vector", config.dim))


def _fused_names(config: RankerConfig) -> list[str]:
    """Of the pieces of the joint input that are made of item vectors: another fusion makes others."""
    if config.fusion is UNSET:
        return []
    return [f"{config.fusion} {piece}" for piece in range(config.fusion.pieces)]


def _shared_tensors(of: RankerConfig, to: RankerConfig) -> set[str]:
    """The names that mean the same on both sides: those of the fusion only if it is the same one."""
    shared = of.shapes().keys() & to.shapes().keys()
    return shared if of.fusion == to.fusion else shared - of.fusion_shapes().keys() - to.fusion_shapes().keys()


def _numbered(name: str, size: int) -> Labels:
    return tuple(f"{name}.{index}" for index in range(size))


def _blocks(names: Sequence[str], dim: int) -> Labels:
    return tuple(label for name in names for label in _numbered(name, dim))


def _matches(labels: Labels, donor: Labels) -> tuple[Indexes, Indexes]:
    """Return the indexes of the labels that both sides have, on each side."""
    place = {label: index for index, label in enumerate(donor)}
    found = [(index, place[label]) for index, label in enumerate(labels) if label in place]
    here, there = np.array(found, np.int64).reshape(-1, 2).T
    return here, there


def _carried_tensors(
    initial: Mapping[str, Floats], donor: Mapping[str, Floats], *, of: RankerConfig, to: RankerConfig
) -> dict[str, Floats]:
    before, after, shared = axes(of), axes(to), _shared_tensors(of, to)
    return {
        name: _carried(values, donor[name], labels=after[name], donor_labels=before[name]) if name in shared else values
        for name, values in initial.items()
    }


def _carried(values: Floats, donor: Floats, *, labels: tuple[Labels, ...], donor_labels: tuple[Labels, ...]) -> Floats:
    """Return initial values with the donor's where the labels of all axes match."""
    here, there = zip(*(_matches(*each) for each in zip(labels, donor_labels, strict=True)), strict=True)
    carried = values.copy()
    if len(labels) == 2:  # rows are what a matrix reads: a new one adds nothing to a column of the donor
        unknown = np.setdiff1d(np.arange(len(values)), here[0])
        carried[np.ix_(unknown, here[1])] = 0.0
    carried[np.ix_(*here)] = donor[np.ix_(*there)]
    return carried


def _views(flat: Floats, config: RankerConfig) -> dict[str, Floats]:
    """Return the tensors of a flat array in their order."""
    shapes = config.shapes()
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    pieces = np.split(flat, ends[:-1])
    return {name: piece.reshape(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}


def _carried_table(table: TableState, *, columns: tuple[Labels, Labels]) -> TableState:
    """Return a table whose rows have other columns: a new head's bias is 0."""
    here, there = _matches(*columns)
    rows: NDArray[np.float32] = np.zeros((len(table.rows), len(columns[0])), np.float32)
    rows[:, here] = table.rows[:, there]
    return structs.replace(table, rows=rows)
