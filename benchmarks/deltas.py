"""A version of 100,000 rows: its bytes, the time to pack and to apply it, and its effect on the latency of slates.

The rows are trained (`inputs.trained_rows`), their ids are spread over 63 bits, and the model has a million rows.
100,000 rows are more than a busy minute changes. For comparison, the same rows are packed as float32 with common
libraries, which neither sign nor verify them. Encoding ends with the messages, including hashes and signature; reading
ends with a verified update; applying ends with the new model.
"""

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness import under_load
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.harness.under_load import SlateLatency, SlateLoad
from benchmarks.inputs import trained_rows, version_messages
from benchmarks.inputs.version_messages import VersionChain
from benchmarks.peers.naive_packing import PACKINGS, arrays_of
from headrace.layout import REPOSITORY
from headrace.models.array_types import Ids
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.row_codec import TableUpdate
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.store.location import parse_location

RESULT = REPOSITORY / "benchmarks" / "results" / "deltas.json"
_DIM = 64
_SWITCH_S = 0.001  # as in serving
_NEW_RATIO = 0.1
console = Console(stderr=True, highlight=False)


class Durations(Struct, frozen=True):
    """Milliseconds over several runs: median and maximum."""

    p50: float
    most: float


class Packed(Struct, frozen=True):
    """One way to pack the rows."""

    bytes: int
    encode_ms: Durations
    read_ms: Durations


class ProductResult(Struct, frozen=True):
    """The product's packing, and the time to apply it: to known rows, and with a tenth of them new to the model."""

    packed: Packed
    apply_ms: Durations
    taken_ms: Durations
    apply_new_ms: Durations


class Result(Struct, frozen=True):
    """All results; `largest_miss`: largest error of a coded value, relative to the range of its row."""

    machine: Machine
    rows: int
    numbers: int
    model_rows: int
    runs: int
    largest_miss: float
    ours: ProductResult
    peers: dict[str, Packed]
    serving: SlateLatency


class Setup:
    """The rows of the version, and a larger model."""

    def __init__(self, rows: int, model_rows: int, *, seed: int) -> None:
        self.config = RankerConfig(dim=_DIM)
        ids = trained_rows.make_ids(model_rows)
        table = trained_rows.train_table(ids[:rows], dim=_DIM, shows=30 * rows, seed=seed)
        changes = table.changes()
        self.delta = TableUpdate(ids=changes.ids[1:], rows=changes.rows[1:], gone=changes.gone, lead=changes.lead)
        all_ids = np.concatenate([np.zeros(1, np.int64), np.sort(ids)])
        fresh = np.random.default_rng(seed).uniform(-0.05, 0.05, (len(all_ids), self.config.width))
        self.all = TableUpdate(ids=all_ids, rows=fresh.astype(np.float32), gone=changes.gone, lead=changes.lead)
        self.new_ids = np.random.default_rng(seed).integers(1, 2**63 - 1, rows)

    def partly_new(self, turn: int) -> TableUpdate:
        """The rows with a tenth of the ids replaced by ids that are new to the model."""
        count = int(len(self.delta.ids) * _NEW_RATIO)
        known, new = self.delta.ids[count:], self.new_ids[turn * count : (turn + 1) * count]
        ids: Ids = np.unique(np.concatenate([known, new]))
        return TableUpdate(ids=ids, rows=self.delta.rows[: len(ids)], gone=self.delta.gone, lead=self.delta.lead)


class ChainReader:
    """Reads a chain of versions and applies them."""

    def __init__(self, setup: Setup) -> None:
        self._chain = VersionChain(setup.config)
        self._assembler = DeltaAssembler(
            key=version_messages.KEY, schema=setup.config.schema(), model=version_messages.MODEL
        )
        self._model = ModelState.empty(setup.config)
        self.apply_version(version_messages.snapshot_chunks(setup.config, setup.all, seed=1))

    def apply_version(self, chunks: list[bytes]) -> tuple[float, float]:
        """Read and apply the next version; returns (reading, applying), ms."""
        messages, begun = self._chain.next(chunks), time.perf_counter()
        *_, delta = (self._assembler.feed(message) for message in messages)
        read = time.perf_counter()
        if delta is None:
            message = "the assembler rejected a version of this benchmark"
            raise RuntimeError(message)
        self._model = self._model.apply(delta)
        return (read - begun) * 1000, (time.perf_counter() - read) * 1000


def measure(*, rows: int, model_rows: int, runs: int, seconds: float) -> Result:
    """Measure packing, applying, and slates during versions."""
    machine, setup = this_machine(), Setup(rows, model_rows, seed=1)
    gc.collect()
    gc.freeze()
    peers = {name: _peer(name, setup, runs) for name in PACKINGS}
    ours, chunks = _ours(setup, runs)
    return Result(
        machine=machine,
        rows=rows,
        numbers=_DIM,
        model_rows=model_rows,
        runs=runs,
        largest_miss=_largest_miss(setup, chunks),
        ours=ours,
        peers=peers,
        serving=_serving(setup, chunks, seconds),
    )


def _ours(setup: Setup, runs: int) -> tuple[ProductResult, list[bytes]]:
    reader, chain = ChainReader(setup), VersionChain(setup.config)
    encoded = [_time_ms(lambda: chain.next(version_messages.delta_chunks(setup.delta))) for _ in range(runs)]
    chunks = version_messages.delta_chunks(setup.delta)
    taken = np.array([reader.apply_version(chunks) for _ in range(runs)])
    new = [
        reader.apply_version(version_messages.delta_chunks(setup.partly_new(turn)))[1] for turn in range(min(runs, 9))
    ]
    messages = chain.next(chunks)
    packed = Packed(sum(map(len, messages)), _durations(encoded), _durations(taken[:, 0]))
    return ProductResult(packed, _durations(taken[:, 1]), _durations(taken.sum(axis=1)), _durations(new)), chunks


def _peer(name: str, setup: Setup, runs: int) -> Packed:
    packing, arrays = PACKINGS[name], arrays_of(setup.delta)
    encoded = [_time_ms(lambda: packing.pack(arrays)) for _ in range(runs)]
    packed = packing.pack(arrays)
    read = packing.read(packed)
    if any((read[each] != values).any() for each, values in arrays.items()):
        message = f"{name} does not read the values that it packed"
        raise RuntimeError(message)
    return Packed(
        len(packed), _durations(encoded), _durations([_time_ms(lambda: packing.read(packed)) for _ in range(runs)])
    )


def _largest_miss(setup: Setup, chunks: list[bytes]) -> float:
    assembler = DeltaAssembler(key=version_messages.KEY, schema=setup.config.schema(), model=version_messages.MODEL)
    *_, delta = (assembler.feed(message) for message in VersionChain(setup.config).next(chunks))
    lead, sent = setup.delta.lead, setup.delta.rows
    got = delta.update.tables["item"].rows if delta else sent
    miss = np.abs(got - sent)[:, lead:].max(axis=1) / np.ptp(sent[:, lead:], axis=1)
    return round(float(miss.max()), 5)


def _serving(setup: Setup, chunks: list[bytes], seconds: float) -> SlateLatency:
    load, chain = SlateLoad(10_000, seed=1), VersionChain(setup.config)
    with tempfile.TemporaryDirectory() as folder:
        followed = FollowedModel(
            name=version_messages.MODEL,
            key=version_messages.KEY,
            snapshots=parse_location(Path(folder)),
            config=setup.config,
        )
        reader = DeltaReader(load.live, followed)
        under_load.apply_version(reader, chain.next(version_messages.snapshot_chunks(setup.config, setup.all, seed=1)))
        before_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        try:
            return under_load.measure(load, reader, chain, chunks=chunks, seconds=seconds)
        finally:
            sys.setswitchinterval(before_s)


def _time_ms(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _durations(times: "list[float] | np.ndarray") -> Durations:
    return Durations(round(float(np.median(times)), 1), round(float(np.max(times)), 1))


def _show(result: Result) -> None:
    table = Table("packed", "bytes", "encode ms", "read ms", title=f"{result.rows} rows, median (max)")
    for name, each in {"ours": result.ours.packed, **result.peers}.items():
        cells = [f"{spans.p50} ({spans.most})" for spans in (each.encode_ms, each.read_ms)]
        table.add_row(name, str(each.bytes), *cells)
    console.print(table)
    ours, load = result.ours, result.serving
    console.print(
        f"apply {ours.apply_ms.p50} ms, read and apply {ours.taken_ms.p50}, apply with new ids {ours.apply_new_ms.p50};"
        f" largest error {result.largest_miss} of a row's range"
    )
    console.print(
        f"slates p99 {load.p99} ms; with a version per second {load.second_p99} ({load.second_ratio:+.1%}),"
        f" per minute {load.minute_p99} ({load.minute_ratio:+.1%})"
    )


def main() -> None:
    """`headrace bench deltas`."""
    parser = argparse.ArgumentParser(prog="headrace bench deltas", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--model-rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each of the sixteen windows")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    sizes = {"rows": chosen.rows, "model_rows": chosen.model_rows, "runs": chosen.runs, "seconds": chosen.seconds}
    _show(run_and_save("deltas", lambda: measure(**sizes), chosen.output))


if __name__ == "__main__":
    main()
