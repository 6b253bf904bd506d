"""Converts a training state to named arrays, the content of a snapshot's `arrays.safetensors`, and back."""

from collections.abc import Mapping
from typing import TypeAlias, cast

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from headrace.models.array_types import Floats
from headrace.models.tables.table import TableState

Arrays: TypeAlias = dict[str, NDArray[np.generic]]


class TrainingState(Struct, frozen=True):
    """Copies of everything that a restart needs to continue bit for bit."""

    tables: dict[str, TableState]
    dense: dict[str, Floats]
    moments: dict[str, Floats]
    steps: int
    period: int
    sightings: float


def blank_dense(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    """Return untrained dense tensors: zeros, with inputs not yet standardised."""
    filled = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return filled | {"input_spread": np.ones(shapes["input_spread"], np.float32)}


def flatten(state: TrainingState) -> Arrays:
    """Return the state's arrays; names are `table/T/FIELD`, `dense/NAME`, `moment/NAME`, `count/NAME`."""
    arrays: Arrays = {
        f"table/{name}/{field}": values
        for name, table in state.tables.items()
        for field, values in structs.asdict(table).items()
    }
    arrays |= {f"dense/{name}": values for name, values in state.dense.items()}
    arrays |= {f"moment/{name}": values for name, values in state.moments.items()}
    arrays["count/steps"] = np.array([state.steps], np.int64)
    arrays["count/period"] = np.array([state.period], np.int64)
    arrays["count/sightings"] = np.array([state.sightings], np.float64)
    return arrays


def unflatten(arrays: Arrays) -> TrainingState:
    """Rebuild the state from its arrays; unknown names are ignored.

    Raises:
        KeyError: an array is missing.
    """
    fields: dict[str, Arrays] = {}
    for name, values in arrays.items():
        head, _, rest = name.rpartition("/")
        fields.setdefault(head, {})[rest] = values
    tables = {head.removeprefix("table/"): group for head, group in fields.items() if head.startswith("table/")}
    wanted = TableState.__struct_fields__
    return TrainingState(
        tables={
            name: TableState(**cast(dict[str, Floats], {field: table[field] for field in wanted}))  # pyright: ignore[reportArgumentType]
            for name, table in tables.items()
        },
        dense=cast(dict[str, Floats], fields["dense"]),
        moments=cast(dict[str, Floats], fields["moment"]),
        steps=int(arrays["count/steps"][0]),
        period=int(arrays["count/period"][0]),
        sightings=float(arrays["count/sightings"][0]),
    )
