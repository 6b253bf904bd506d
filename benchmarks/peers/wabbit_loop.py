"""Vowpal Wabbit in its own process and environment (benchmarks/peers/wabbit.lock), with a line protocol.

`wabbit_loop.py FOLDER` reads `rows.json` in the folder, an object of columns (user, item, bucket, hour, dense, label)
and the first row of each timestamp, and prints its version. `predict raw|dense RATE` passes over the rows once,
predicts all rows of a timestamp before it learns them, writes the chances to `chances.json` and prints the seconds.
`learn MANNER COUNT` learns the last COUNT rows from their dense inputs, reads the prediction of each, and prints the
milliseconds: from Python's `numbers`, from `text`, or from prepared `examples`. Numbers become examples by
`Workspace.example`, which is faster than formatting text.
"""

import gc
import json
import sys
import time
from pathlib import Path

from vowpalwabbit import Example, Workspace, __version__

_PAIRS = "-q ui -q ud -q uh"
_LOGISTIC = "--loss_function logistic --link logistic --quiet"


class Rows:
    """The rows, and Vowpal Wabbit models that learn them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        columns = json.loads((folder / "rows.json").read_text())
        self._starts = columns.pop("starts")
        self._columns = columns
        self._labels = ["1" if label else "-1" for label in columns["label"]]
        self._indexes = range(len(columns["dense"][0]))
        self._plain = Workspace(f"{_LOGISTIC} -b 18")
        self._texts: list[str] = []
        self._examples: list[Example] = []

    def predict(self, inputs: str, rate: str) -> float:
        """Seconds of one pass with a new model."""
        model = Workspace(f"{_LOGISTIC} -b 24 --hash all {_PAIRS} -l {rate}")
        make = self._raw if inputs == "raw" else self._dense
        count, chances = len(self._labels), []
        begun = time.perf_counter()
        for start, end in zip(self._starts, [*self._starts[1:], count], strict=True):
            examples = [self._example(model, make(row), row) for row in range(start, end)]
            chances += [model.predict(example) for example in examples]
            for example in examples:
                model.learn(example)
                model.finish_example(example)
        took_s = time.perf_counter() - begun
        model.finish()
        (self._folder / "chances.json").write_text(json.dumps(chances))
        return took_s

    def learn_ms(self, manner: str, count: int) -> float:
        """Milliseconds to learn the last rows."""
        rows = range(len(self._labels) - count, len(self._labels))
        if not self._texts:
            self._texts = [self._text(row) for row in rows]
            self._examples = [self._plain.parse(text) for text in self._texts]
        learn = {"numbers": self._learn_numbers, "text": self._learn_texts, "examples": self._learn_examples}[manner]
        begun = time.perf_counter()
        learn(rows)
        return (time.perf_counter() - begun) * 1000

    def _learn_numbers(self, rows: range) -> list[float]:
        model, dense, chances = self._plain, self._columns["dense"], []
        for row in rows:
            example = self._example(model, {"f": list(zip(self._indexes, dense[row], strict=True))}, row)
            model.learn(example)
            chances.append(example.get_simplelabel_prediction())
            model.finish_example(example)
        return chances

    def _learn_texts(self, _: range) -> list[float]:
        model, chances = self._plain, []
        for text in self._texts:
            example = model.parse(text)
            model.learn(example)
            chances.append(example.get_simplelabel_prediction())
            model.finish_example(example)
        return chances

    def _learn_examples(self, _: range) -> list[float]:
        model, chances = self._plain, []
        for example in self._examples:
            model.learn(example)
            chances.append(example.get_simplelabel_prediction())
        return chances

    def _example(self, model: Workspace, features: dict[str, list], row: int) -> Example:
        example = model.example(features)
        example.set_label_string(self._labels[row])
        return example

    def _raw(self, row: int) -> dict[str, list]:
        names = {"u": "user", "i": "item", "d": "bucket", "h": "hour"}
        return {namespace: [self._columns[name][row]] for namespace, name in names.items()}

    def _dense(self, row: int) -> dict[str, list]:
        return {**self._raw(row), "f": list(zip(self._indexes, self._columns["dense"][row], strict=True))}

    def _text(self, row: int) -> str:
        values = enumerate(self._columns["dense"][row])
        return f"{self._labels[row]} |f " + " ".join(f"{index}:{value:.6g}" for index, value in values)


def main() -> None:
    """Answer lines until the input ends."""
    rows = Rows(Path(sys.argv[1]))
    gc.collect()
    gc.freeze()  # as in the product's process: exclude the rows from garbage collection
    _print(__version__)
    for line in sys.stdin:
        kind, manner, number = line.split()
        _print(str(rows.predict(manner, number) if kind == "predict" else rows.learn_ms(manner, int(number))))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
