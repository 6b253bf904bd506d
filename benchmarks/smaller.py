"""The ranker in fewer bytes and in another runtime: size, time of a slate, and what is lost of KuaiRand's clicks.

The model learns the first 70 % of the log and stands still on the rest. Tables and weights are then kept in float16 or
8 bits (a row as a version carries it) and read back; the graph of `headrace models export` runs in onnxruntime, as it
is and with its weights in 8 bits. A slate has 260 candidates and a history of 20: rows are looked up, made float32 and
scored, on one thread. The retrieval vectors are those of the items that own a row, for all users.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from msgspec import Struct
from onnxruntime.quantization import quantize_dynamic
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.harness.interleaved import clocked, in_turns
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import carry_out
from benchmarks.inputs.recorded_rows import Told, stream_of
from benchmarks.inputs.recordings import add_folder, file_in
from benchmarks.rivals import COLUMNS, FILE, KNOWN, Scorer
from benchmarks.studies import vector_codecs
from benchmarks.studies.quantized import Dense, Kept, dense_of, sources, tables_of
from benchmarks.studies.vector_codecs import Vectors
from headrace.evaluation.log import columns_of, read
from headrace.evaluation.metrics import Figure
from headrace.layout import FEATURES, REPOSITORY
from lang.planner.load import load_plan
from learner.app import make_deterministic
from learner.collate import Collator
from learner.settings import LoopSettings
from models import ranker_numpy
from models.array_types import Doubles, Floats
from models.batch import Batch
from models.config import RankerConfig
from models.items import Items
from models.onnx_export import to_onnx
from models.ranker_numpy import RequestRows
from models.ranker_torch import from_numpy
from models.state import ModelState
from models.training import Trainer, predict
from schemas.samples import Sample

RESULT = REPOSITORY / "benchmarks" / "results" / "smaller.json"
PAGE = REPOSITORY / "docs" / "smaller.md"
LEARNT_SHARE = 0.7
_CANDIDATES = 260
_TOLD = 2_048
_FORMS = {
    "fp32": ("fp32", "fp32"),
    "tables fp16": ("fp16", "fp32"),
    "tables int8": ("int8", "fp32"),
    "weights fp16": ("fp32", "fp16"),
    "weights int8": ("fp32", "int8"),
    "both int8": ("int8", "int8"),
}
_GRAPHS = ("ONNX fp32", "ONNX int8")


class Variant(Struct, frozen=True, kw_only=True):
    """One form. `less`: its log loss less that of fp32."""

    table_bytes: int
    weight_bytes: int
    slate_ms: float
    auc: Figure
    log_loss: Figure
    less: Figure


class Result(Struct, frozen=True, kw_only=True):
    """All that was measured."""

    machine: Machine
    learnt: int
    scored: int
    variants: dict[str, Variant]
    vectors: dict[str, Vectors]


class Ground:
    """A model that has learnt, and the samples that come after."""

    def __init__(self, samples: list[Sample]) -> None:
        self.config, settings = RankerConfig(), LoopSettings()
        collator, first = Collator(self.config.history), round(len(samples) * LEARNT_SHARE)
        trainer = Trainer(self.config, np.random.default_rng(settings.seed))
        for start in range(0, first, settings.batch):
            part = samples[start : min(start + settings.batch, first)]
            trainer.learn(collator.batch(part, part[-1].known_at))
        self.state, self.learnt, rest = trainer.state(), first, samples[first:]
        self.batches = [
            collator.batch(rest[start : start + _TOLD], rest[start].known_at) for start in range(0, len(rest), _TOLD)
        ]
        self.slate = collator.batch(rest[:_CANDIDATES], rest[0].known_at)
        self.labels = np.concatenate([batch.labels[:, 0] for batch in self.batches]).astype(np.float64)


def measure(folder: Path, *, rounds: int) -> Result:
    """Every form."""
    machine = this_machine()
    make_deterministic()
    log = read(file_in(folder, FILE), columns_of(COLUMNS, KNOWN), warm_share=LEARNT_SHARE)
    ground = Ground(stream_of(log, load_plan(FEATURES)).samples)
    chances, calls, sizes = _forms(ground)
    graphs, asked = _graphs(ground)
    sizes |= {name: (sizes["fp32"][0], len(graph)) for name, graph in graphs.items()}
    for name, graph in graphs.items():
        chances[name], calls[name] = asked(graph)
    times = in_turns({name: clocked(call) for name, call in calls.items()}, rounds=rounds, seed=1)
    scorer, variants = Scorer(ground.labels, chances["fp32"]), dict[str, Variant]()
    for name, told in chances.items():
        scored, (table_bytes, weight_bytes) = scorer.best(name, {"": Told(told, 1.0)}), sizes[name]
        variants[name] = Variant(
            table_bytes=table_bytes,
            weight_bytes=weight_bytes,
            slate_ms=times[name].p50_ms,
            auc=scored.figures["auc"],
            log_loss=scored.figures["log_loss"],
            less=scored.behind,
        )
    return Result(
        machine=machine,
        learnt=ground.learnt,
        scored=len(ground.labels),
        variants=variants,
        vectors=_vectors(ground, rounds),
    )


def _forms(
    ground: Ground,
) -> tuple[dict[str, Doubles], dict[str, Callable[[], object]], dict[str, tuple[int, int]]]:
    """Chances, calls that score the slate, and bytes of tables and weights, by form."""
    chances: dict[str, Doubles] = {}
    calls: dict[str, Callable[[], object]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for name, (row_form, weight_form) in _FORMS.items():
        tables = tables_of(ground.state, ground.config, row_form)
        dense, weight_bytes = dense_of(ground.state.dense, weight_form)
        told = [
            predict(ground.config, from_numpy(dense), tables=sources(tables), batch=batch)[:, 0]
            for batch in ground.batches
        ]
        chances[name] = np.concatenate(told).astype(np.float64)
        sizes[name] = sum(table.bytes for table in tables.values()), weight_bytes
        calls[name] = _scoring(ground, tables, dense)
    return chances, calls, sizes


def _scoring(ground: Ground, tables: dict[str, Kept], dense: Dense) -> Callable[[], object]:
    return lambda: ranker_numpy.score(ground.config, dense, part=_part(tables, ground.slate), inputs=ground.slate.dense)


def _part(tables: dict[str, Kept], batch: Batch, row: int = 0, count: int | None = None) -> RequestRows:
    """Rows of the user and history of a batch's row, and of candidates from there on."""
    past, those = batch.history[row], slice(row, None if count is None else row + count)
    items = Items(batch.items[those], batch.categories[those])
    return ranker_numpy.gather_rows(sources(tables), user_id=int(batch.users[row]), past=past[past != 0], items=items)


def _graphs(
    ground: Ground,
) -> tuple[dict[str, bytes], Callable[[bytes], tuple[Doubles, Callable[[], object]]]]:
    """The graphs, and what tells a graph's chances of all rows and makes the call that scores the slate."""
    tables = tables_of(ground.state, ground.config, "fp32")
    whole = to_onnx(ground.config, ground.state.dense, version="")
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        plain.write_bytes(whole)
        # a product with a vector, not a matrix: onnxruntime 1.32 adds what follows it as its bias, and fails
        quantize_dynamic(plain, small, nodes_to_exclude=[_reader(onnx.load(plain), "attend_out")])
        graphs = dict(zip(_GRAPHS, (whole, small.read_bytes()), strict=True))

    def asked(graph: bytes) -> tuple[Doubles, Callable[[], object]]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(graph, options)

        def told(batch: Batch, row: int, count: int | None) -> Floats:
            part = _part(tables, batch, row, count)
            return session.run(None, _feed(ground.config, part, batch.dense[row : row + len(part.items)]))[0]

        chances = [told(batch, row, 1)[0, 0] for batch in ground.batches for row in range(len(batch))]
        return np.array(chances, np.float64), lambda: told(ground.slate, 0, None)

    return graphs, asked


def _reader(model: onnx.ModelProto, tensor: str) -> str:
    return next(node.name for node in model.graph.node if tensor in node.input)


def _feed(config: RankerConfig, part: RequestRows, inputs: Floats) -> dict[str, np.ndarray]:
    past = np.zeros((config.history, config.dim), np.float32)
    past[: len(part.past)] = part.past
    present = np.arange(config.history) < len(part.past)
    rows = {"user": part.user, "items": part.items, "categories": part.categories}
    return {**rows, "past": past, "present": present, "inputs": inputs}


def _vectors(ground: Ground, rounds: int) -> dict[str, Vectors]:
    model = ModelState.from_training_state(ground.config, ground.state, version="", coding="float32")
    category, last = dict[int, int](), dict[int, np.ndarray]()
    for batch in ground.batches:
        category |= dict(zip(batch.items.tolist(), batch.categories.tolist(), strict=True))
        last |= dict(zip(batch.users.tolist(), batch.history, strict=True))
    ids = np.array([each for each in model.tables["item"].ids.tolist() if each in category], np.int64)
    items = model.item_vectors(Items(ids, np.array([category[each] for each in ids.tolist()], np.int64)))
    users = np.array([model.user_vector(user, past[past != 0]) for user, past in last.items()])
    return vector_codecs.measure(items, users, rounds=rounds)


def page(result: Result) -> str:
    """docs/smaller.md: what the product uses, then the figures."""
    lines = [
        "| form | tables, bytes | weights, bytes | a slate of 260, ms | AUC | log loss | less fp32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in result.variants.items():
        less = "" if name == "fp32" else f"{each.less.value:+.5f} ± {each.less.error:.5f}"
        figures = f"{each.slate_ms:.2f} | {each.auc.value:.4f} | {each.log_loss.value:.4f} | {less}"
        lines.append(f"| {name} | {each.table_bytes} | {each.weight_bytes} | {figures} |")
    lines += ["", "| item vectors | bytes an item | recall@100 | a search among 50,000, ms |", "|---|---|---|---|"]
    for name, each in result.vectors.items():
        lines.append(f"| {name} | {each.bytes_per_item:.0f} | {each.recall:.4f} | {each.search_ms:.2f} |")
    return _WORDS.format(learnt=result.learnt, scored=result.scored) + "\n".join(lines) + "\n"


_WORDS = """# Smaller models

Written by `headrace bench smaller` from `benchmarks/results/smaller.json`; do not edit. On KuaiRand's clicks, the \
model learns {learnt} rows and is frozen for the {scored} after them.

**What the product uses.** Rows are sent in 8 bits and held in serving's memory as float32. Weights are float32 \
everywhere, scoring uses numpy, and vectors are float32 and searched exactly. There is no setting for this. \
`headrace models export` writes the graph `ONNX fp32` for other runtimes (docs/onnx.md).

**Why.** No form has a measurable loss. The weights are small compared with the process that holds them. Keeping rows \
in 8 bits would pay off with many millions of them: they are sent in 8 bits already. The ONNX graph is slower than \
numpy, which computes the user's part once per slate. Halving the vectors' numbers loses neighbours and makes no \
search faster.

"""


def main() -> None:
    """`headrace bench smaller`."""
    parser = argparse.ArgumentParser(prog="headrace bench smaller", description=__doc__)
    add_folder(parser)
    parser.add_argument("--rounds", type=int, default=20, help="of the times, five counted calls each")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = carry_out("smaller", lambda: measure(chosen.data, rounds=chosen.rounds), chosen.output)
    if chosen.output == RESULT:
        PAGE.write_text(page(result), encoding="utf-8")
    Console().print(Markdown(page(result)))


if __name__ == "__main__":
    main()
