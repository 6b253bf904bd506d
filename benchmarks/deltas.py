"""A version of a hundred thousand rows: its bytes, what packing and applying it take, and what it costs the slates.

The rows have learnt (`inputs.trained_rows`), their ids are spread over 63 bits, and the model they are applied onto has
a million; so many rows a version is more than a busy minute changes. Beside ours the same rows are packed whole by what
one would take first: those are neither signed nor checked. Encoding is until the messages are there, hashes and
signature too; reading until a verified update is, applying until the model is.
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
from benchmarks.harness.report import carry_out
from benchmarks.harness.under_load import Alongside, Slates
from benchmarks.inputs import trained_rows, version_messages
from benchmarks.inputs.version_messages import Chain
from benchmarks.peers.naive_packing import PACKINGS, arrays_of
from headrace.layout import REPOSITORY
from models.array_types import Ids
from models.config import RankerConfig
from models.state import ModelState
from schemas.delta_assembler import DeltaAssembler
from schemas.row_codec import TableUpdate
from serving.versions.delta_reader import DeltaReader

RESULT = REPOSITORY / "benchmarks" / "results" / "deltas.json"
_DIM = 64
_SWITCH_S = 0.001  # as in serving
_NEW_RATIO = 0.1
console = Console(stderr=True, highlight=False)


class Spans(Struct, frozen=True):
    """Milliseconds of several runs."""

    p50: float
    most: float


class Packed(Struct, frozen=True):
    """One way to pack the rows."""

    bytes: int
    encode_ms: Spans
    read_ms: Spans


class Ours(Struct, frozen=True):
    """Ours, and what applying takes: rows that the model has, and with a tenth of them new to it."""

    packed: Packed
    apply_ms: Spans
    taken_ms: Spans
    apply_new_ms: Spans


class Result(Struct, frozen=True):
    """All that was measured; `largest_miss` of a coded value, in spans of its row."""

    machine: Machine
    rows: int
    numbers: int
    model_rows: int
    runs: int
    largest_miss: float
    ours: Ours
    peers: dict[str, Packed]
    serving: Alongside


class Ground:
    """The rows, and a model of many more."""

    def __init__(self, rows: int, model_rows: int, *, seed: int) -> None:
        self.config = RankerConfig(dim=_DIM)
        ids = trained_rows.ids_of(model_rows)
        table = trained_rows.table_of(ids[:rows], dim=_DIM, shows=30 * rows, seed=seed)
        learnt = table.changes()
        self.delta = TableUpdate(ids=learnt.ids[1:], rows=learnt.rows[1:], gone=learnt.gone, lead=learnt.lead)
        everyone = np.concatenate([np.zeros(1, np.int64), np.sort(ids)])
        fresh = np.random.default_rng(seed).uniform(-0.05, 0.05, (len(everyone), self.config.width))
        self.all = TableUpdate(ids=everyone, rows=fresh.astype(np.float32), gone=learnt.gone, lead=learnt.lead)
        self.strangers = np.random.default_rng(seed).integers(1, 2**63 - 1, rows)

    def partly_new(self, turn: int) -> TableUpdate:
        """The rows with a tenth of the ids in place of others that no model has yet."""
        count = int(len(self.delta.ids) * _NEW_RATIO)
        known, new = self.delta.ids[count:], self.strangers[turn * count : (turn + 1) * count]
        ids: Ids = np.unique(np.concatenate([known, new]))
        return TableUpdate(ids=ids, rows=self.delta.rows[: len(ids)], gone=self.delta.gone, lead=self.delta.lead)


class Follower:
    """Reads a chain and applies it."""

    def __init__(self, ground: Ground) -> None:
        self._chain = Chain(ground.config)
        self._assembler = DeltaAssembler(
            key=version_messages.KEY, schema=ground.config.schema(), model=version_messages.MODEL
        )
        self._model = ModelState.empty(ground.config)
        self.take(version_messages.whole(ground.config, ground.all, seed=1))

    def take(self, chunks: list[bytes]) -> tuple[float, float]:
        """(reading, applying), ms."""
        messages, begun = self._chain.next(chunks), time.perf_counter()
        *_, delta = (self._assembler.feed(message) for message in messages)
        read = time.perf_counter()
        if delta is None:
            message = "a version of our own was passed over"
            raise RuntimeError(message)
        self._model = self._model.apply(delta)
        return (read - begun) * 1000, (time.perf_counter() - read) * 1000


def measure(*, rows: int, model_rows: int, runs: int, seconds: float) -> Result:
    """Pack, apply, then rank beside it."""
    machine, ground = this_machine(), Ground(rows, model_rows, seed=1)
    gc.collect()
    gc.freeze()
    peers = {name: _peer(name, ground, runs) for name in PACKINGS}
    ours, chunks = _ours(ground, runs)
    return Result(
        machine=machine,
        rows=rows,
        numbers=_DIM,
        model_rows=model_rows,
        runs=runs,
        largest_miss=_largest_miss(ground, chunks),
        ours=ours,
        peers=peers,
        serving=_serving(ground, chunks, seconds),
    )


def _ours(ground: Ground, runs: int) -> tuple[Ours, list[bytes]]:
    follower, chain = Follower(ground), Chain(ground.config)
    encoded = [_clocked(lambda: chain.next(version_messages.changed(ground.delta))) for _ in range(runs)]
    chunks = version_messages.changed(ground.delta)
    taken = np.array([follower.take(chunks) for _ in range(runs)])
    new = [follower.take(version_messages.changed(ground.partly_new(turn)))[1] for turn in range(min(runs, 9))]
    messages = chain.next(chunks)
    packed = Packed(sum(map(len, messages)), _spans(encoded), _spans(taken[:, 0]))
    return Ours(packed, _spans(taken[:, 1]), _spans(taken.sum(axis=1)), _spans(new)), chunks


def _peer(name: str, ground: Ground, runs: int) -> Packed:
    packing, arrays = PACKINGS[name], arrays_of(ground.delta)
    encoded = [_clocked(lambda: packing.pack(arrays)) for _ in range(runs)]
    packed = packing.pack(arrays)
    read = packing.read(packed)
    if any((read[each] != values).any() for each, values in arrays.items()):
        message = f"{name} does not read what it packed"
        raise RuntimeError(message)
    return Packed(len(packed), _spans(encoded), _spans([_clocked(lambda: packing.read(packed)) for _ in range(runs)]))


def _largest_miss(ground: Ground, chunks: list[bytes]) -> float:
    assembler = DeltaAssembler(key=version_messages.KEY, schema=ground.config.schema(), model=version_messages.MODEL)
    *_, delta = (assembler.feed(message) for message in Chain(ground.config).next(chunks))
    lead, sent = ground.delta.lead, ground.delta.rows
    got = delta.update.tables["item"].rows if delta else sent
    miss = np.abs(got - sent)[:, lead:].max(axis=1) / np.ptp(sent[:, lead:], axis=1)
    return round(float(miss.max()), 5)


def _serving(ground: Ground, chunks: list[bytes], seconds: float) -> Alongside:
    slates, chain = Slates(10_000, seed=1), Chain(ground.config)
    with tempfile.TemporaryDirectory() as folder:
        reader = DeltaReader(
            slates.live,
            name=version_messages.MODEL,
            key=version_messages.KEY,
            folder=Path(folder),
            config=ground.config,
        )
        under_load.take(reader, chain.next(version_messages.whole(ground.config, ground.all, seed=1)))
        before_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        try:
            return under_load.measure(slates, reader, chain, chunks=chunks, seconds=seconds)
        finally:
            sys.setswitchinterval(before_s)


def _clocked(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _spans(times: "list[float] | np.ndarray") -> Spans:
    return Spans(round(float(np.median(times)), 1), round(float(np.max(times)), 1))


def _show(result: Result) -> None:
    table = Table("packed", "bytes", "encode ms", "read ms", title=f"{result.rows} rows, p50 (most)")
    for name, each in {"ours": result.ours.packed, **result.peers}.items():
        cells = [f"{spans.p50} ({spans.most})" for spans in (each.encode_ms, each.read_ms)]
        table.add_row(name, str(each.bytes), *cells)
    console.print(table)
    ours, slates = result.ours, result.serving
    console.print(
        f"apply {ours.apply_ms.p50} ms, read and apply {ours.taken_ms.p50}, apply with new ids {ours.apply_new_ms.p50};"
        f" largest miss {result.largest_miss} of a row's span"
    )
    console.print(
        f"slates p99 {slates.p99} ms; a version a second {slates.second_p99} ({slates.second_ratio:+.1%}),"
        f" a minute {slates.minute_p99} ({slates.minute_ratio:+.1%})"
    )


def main() -> None:
    """`headrace bench deltas`."""
    parser = argparse.ArgumentParser(prog="headrace bench deltas", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--model-rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each of sixteen windows of slates")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    told = {"rows": chosen.rows, "model_rows": chosen.model_rows, "runs": chosen.runs, "seconds": chosen.seconds}
    _show(carry_out("deltas", lambda: measure(**told), chosen.output))


if __name__ == "__main__":
    main()
