"""The ranker in fewer bytes and in another runtime: size, time per slate, and quality on KuaiRand's clicks.

The model learns the first 70 % of the log and is frozen on the rest. Tables and weights are then stored in float16 or
8 bits (rows with the coding of versions) and read back. The graph of `headrace models export` runs in onnxruntime, as
it is and with 8-bit weights. A slate has 260 candidates and a history of 20; its rows are looked up, decoded to float32
and scored on one thread. The retrieval vectors are those of the items that have a row, searched for all users.
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

from benchmarks.harness.interleaved import time_interleaved, timed
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.recorded_rows import Predictions, stream_of
from benchmarks.inputs.recordings import add_folder, file_in
from benchmarks.rivals import COLUMNS, FILE, KNOWN, Scorer
from benchmarks.studies import vector_codecs
from benchmarks.studies.quantized import Dense, QuantizedTable, quantize_dense, quantize_tables, sources
from benchmarks.studies.vector_codecs import Vectors
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.metrics import Figure
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY
from headrace.learner.app import make_deterministic
from headrace.learner.samples.collate import Collator
from headrace.learner.settings import LoopSettings
from headrace.models.array_types import Doubles, Floats
from headrace.models.ranker import forward_numpy
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.forward_numpy import RequestRows
from headrace.models.ranker.forward_torch import from_numpy
from headrace.models.ranker.items import Items
from headrace.models.ranker.onnx_export import to_onnx
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer, predict
from headrace.schemas.samples import Sample

RESULT = REPOSITORY / "benchmarks" / "results" / "smaller.json"
PAGE = REPOSITORY / "docs" / "smaller.md"
LEARNT_SHARE = 0.7
_CANDIDATES = 260
_BATCH = 2_048
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
    """One form. `less`: difference between its log loss and that of fp32."""

    table_bytes: int
    weight_bytes: int
    slate_ms: float
    auc: Figure
    log_loss: Figure
    less: Figure


class Result(Struct, frozen=True, kw_only=True):
    """All results."""

    machine: Machine
    learnt: int
    scored: int
    variants: dict[str, Variant]
    vectors: dict[str, Vectors]


class TrainedModel:
    """A trained model, and the samples after its training."""

    def __init__(self, samples: list[Sample]) -> None:
        self.config, settings = RankerConfig(), LoopSettings()
        collator, first = Collator(self.config), round(len(samples) * LEARNT_SHARE)
        trainer = Trainer(self.config, np.random.default_rng(settings.seed))
        for start in range(0, first, settings.batch):
            part = samples[start : min(start + settings.batch, first)]
            trainer.learn(collator.batch(part, part[-1].known_at))
        self.state, self.learnt, rest = trainer.state(), first, samples[first:]
        self.batches = [
            collator.batch(rest[start : start + _BATCH], rest[start].known_at) for start in range(0, len(rest), _BATCH)
        ]
        self.slate = collator.batch(rest[:_CANDIDATES], rest[0].known_at)
        self.labels = np.concatenate([batch.labels[:, 0] for batch in self.batches]).astype(np.float64)


def measure(folder: Path, *, rounds: int) -> Result:
    """Measure every form."""
    machine = this_machine()
    make_deterministic()
    log = read(file_in(folder, FILE), parse_columns(COLUMNS, KNOWN), warm_share=LEARNT_SHARE)
    trained = TrainedModel(stream_of(log, load_plan(FEATURES)).samples)
    chances, calls, sizes = _forms(trained)
    graphs, run_graph = _graphs(trained)
    sizes |= {name: (sizes["fp32"][0], len(graph)) for name, graph in graphs.items()}
    for name, graph in graphs.items():
        chances[name], calls[name] = run_graph(graph)
    times = time_interleaved({name: timed(call) for name, call in calls.items()}, rounds=rounds, seed=1)
    scorer, variants = Scorer(trained.labels, chances["fp32"]), dict[str, Variant]()
    for name, form_chances in chances.items():
        scored, (table_bytes, weight_bytes) = scorer.best(name, {"": Predictions(form_chances, 1.0)}), sizes[name]
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
        learnt=trained.learnt,
        scored=len(trained.labels),
        variants=variants,
        vectors=_vectors(trained, rounds),
    )


def _forms(
    trained: TrainedModel,
) -> tuple[dict[str, Doubles], dict[str, Callable[[], object]], dict[str, tuple[int, int]]]:
    """Predicted chances, calls that score the slate, and bytes of tables and weights, by form."""
    chances: dict[str, Doubles] = {}
    calls: dict[str, Callable[[], object]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for name, (row_form, weight_form) in _FORMS.items():
        tables = quantize_tables(trained.state, trained.config, row_form)
        dense, weight_bytes = quantize_dense(trained.state.dense, weight_form)
        parts = [
            predict(trained.config, from_numpy(dense), tables=sources(tables), batch=batch)[:, 0]
            for batch in trained.batches
        ]
        chances[name] = np.concatenate(parts).astype(np.float64)
        sizes[name] = sum(table.bytes for table in tables.values()), weight_bytes
        calls[name] = _scoring(trained, tables, dense)
    return chances, calls, sizes


def _scoring(trained: TrainedModel, tables: dict[str, QuantizedTable], dense: Dense) -> Callable[[], object]:
    return lambda: forward_numpy.score(
        trained.config, dense, part=_part(tables, trained.slate), inputs=trained.slate.dense
    )


def _part(tables: dict[str, QuantizedTable], batch: Batch, row: int = 0, count: int | None = None) -> RequestRows:
    """Table rows of the user and history of one row of a batch, and of `count` candidates from that row on."""
    past, candidates = batch.history[row], slice(row, None if count is None else row + count)
    items = Items(batch.items[candidates], batch.categories[candidates])
    return forward_numpy.gather_rows(
        sources(tables), user_id=int(batch.users[row]), past=past[past != 0], items=items, lead=RankerConfig().lead
    )


def _graphs(
    trained: TrainedModel,
) -> tuple[dict[str, bytes], Callable[[bytes], tuple[Doubles, Callable[[], object]]]]:
    """The graphs, and a function from a graph to its chances of all rows and a call that scores the slate."""
    tables = quantize_tables(trained.state, trained.config, "fp32")
    whole = to_onnx(trained.config, trained.state.dense, version="")
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        plain.write_bytes(whole)
        # a product with a vector, not a matrix: onnxruntime 1.32 fuses the next addition as its bias, and fails
        quantize_dynamic(plain, small, nodes_to_exclude=[_consumer(onnx.load(plain), "attend_out")])
        graphs = dict(zip(_GRAPHS, (whole, small.read_bytes()), strict=True))

    def run_graph(graph: bytes) -> tuple[Doubles, Callable[[], object]]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(graph, options)

        def score(batch: Batch, row: int, count: int | None) -> Floats:
            part = _part(tables, batch, row, count)
            return session.run(None, _feed(trained.config, part, batch.dense[row : row + len(part.items)]))[0]

        chances = [score(batch, row, 1)[0, 0] for batch in trained.batches for row in range(len(batch))]
        return np.array(chances, np.float64), lambda: score(trained.slate, 0, None)

    return graphs, run_graph


def _consumer(model: onnx.ModelProto, tensor: str) -> str:
    return next(node.name for node in model.graph.node if tensor in node.input)


def _feed(config: RankerConfig, part: RequestRows, inputs: Floats) -> dict[str, np.ndarray]:
    past = np.zeros((config.history, config.dim), np.float32)
    past[: len(part.past)] = part.past
    present = np.arange(config.history) < len(part.past)
    rows = {"user": part.user, "items": part.items, "categories": part.categories}
    return {**rows, "past": past, "present": present, "inputs": inputs}


def _vectors(trained: TrainedModel, rounds: int) -> dict[str, Vectors]:
    model = ModelState.from_training_state(trained.config, trained.state, version="", coding="float32")
    category, last = dict[int, int](), dict[int, np.ndarray]()
    for batch in trained.batches:
        category |= dict(zip(batch.items.tolist(), batch.categories.tolist(), strict=True))
        last |= dict(zip(batch.users.tolist(), batch.history, strict=True))
    ids = np.array([each for each in model.tables["item"].ids.tolist() if each in category], np.int64)
    items = model.item_vectors(Items(ids, np.array([category[each] for each in ids.tolist()], np.int64)))
    users = np.array([model.user_vector(user, past[past != 0]) for user, past in last.items()])
    return vector_codecs.measure(items, users, rounds=rounds)


def page(result: Result) -> str:
    """The text of docs/smaller.md: what the product uses, then the figures."""
    lines = [
        "| form | tables, bytes | weights, bytes | slate of 260, ms | AUC | log loss | vs fp32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in result.variants.items():
        less = "" if name == "fp32" else f"{each.less.value:+.5f} ± {each.less.error:.5f}"
        figures = f"{each.slate_ms:.2f} | {each.auc.value:.4f} | {each.log_loss.value:.4f} | {less}"
        lines.append(f"| {name} | {each.table_bytes} | {each.weight_bytes} | {figures} |")
    lines += ["", "| item vectors | bytes per item | recall@100 | search among 50,000, ms |", "|---|---|---|---|"]
    for name, each in result.vectors.items():
        lines.append(f"| {name} | {each.bytes_per_item:.0f} | {each.recall:.4f} | {each.search_ms:.2f} |")
    return _WORDS.format(learnt=result.learnt, scored=result.scored) + "\n".join(lines) + "\n"


_WORDS = """# Smaller models

Written by `headrace bench smaller` from `benchmarks/results/smaller.json`; do not edit. On KuaiRand's clicks, the \
model learns {learnt} rows and is frozen for the {scored} after them.

**What the product uses.** Rows are sent in 8 bits and held in serving's memory as float32. Weights are float32 \
everywhere, scoring uses numpy, and vectors are float32 and searched exactly, in a large catalogue among what a search \
in 8 bits found (docs/adr/0027). There is no setting for this. \
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
    parser.add_argument("--rounds", type=int, default=20, help="rounds of timing, with five counted calls each")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("smaller", lambda: measure(chosen.data, rounds=chosen.rounds), chosen.output)
    if chosen.output == RESULT:
        PAGE.write_text(page(result), encoding="utf-8")
    Console().print(Markdown(page(result)))


if __name__ == "__main__":
    main()
