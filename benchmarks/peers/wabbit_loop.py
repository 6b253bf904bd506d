"""Vowpal Wabbit in a process and an environment of its own (benchmarks/peers/wabbit.lock), told by lines what to do.

`wabbit_loop.py FOLDER` reads `rows.json` of the folder, an object of columns (user, item, bucket, hour, dense, label)
and the first row of each moment, and prints its version. `tell raw|dense RATE` passes once over the rows, all of a
moment told before one is learnt, writes the chances into `told.json` and prints the seconds. `learn MANNER COUNT`
learns the last so many rows from their dense inputs, takes what was told of each before, and prints the milliseconds:
from Python's `numbers`, from `text`, or from `examples` made before. Numbers become examples by `Workspace.example`,
which beats writing text of them.
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
    """The rows, and Vowpal Wabbits to learn them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        columns = json.loads((folder / "rows.json").read_text())
        self._starts = columns.pop("starts")
        self._columns = columns
        self._labels = ["1" if label else "-1" for label in columns["label"]]
        self._places = range(len(columns["dense"][0]))
        self._plain = Workspace(f"{_LOGISTIC} -b 18")
        self._texts: list[str] = []
        self._examples: list[Example] = []

    def tell(self, inputs: str, rate: str) -> float:
        """Seconds of a pass with a fresh model."""
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
        (self._folder / "told.json").write_text(json.dumps(chances))
        return took_s

    def learn_ms(self, manner: str, count: int) -> float:
        """What learning the last rows takes."""
        rows = range(len(self._labels) - count, len(self._labels))
        if not self._texts:
            self._texts = [self._text(row) for row in rows]
            self._examples = [self._plain.parse(text) for text in self._texts]
        learn = {"numbers": self._numbers, "text": self._parsed, "examples": self._made}[manner]
        begun = time.perf_counter()
        learn(rows)
        return (time.perf_counter() - begun) * 1000

    def _numbers(self, rows: range) -> list[float]:
        model, dense, told = self._plain, self._columns["dense"], []
        for row in rows:
            example = self._example(model, {"f": list(zip(self._places, dense[row], strict=True))}, row)
            model.learn(example)
            told.append(example.get_simplelabel_prediction())
            model.finish_example(example)
        return told

    def _parsed(self, _: range) -> list[float]:
        model, told = self._plain, []
        for text in self._texts:
            example = model.parse(text)
            model.learn(example)
            told.append(example.get_simplelabel_prediction())
            model.finish_example(example)
        return told

    def _made(self, _: range) -> list[float]:
        model, told = self._plain, []
        for example in self._examples:
            model.learn(example)
            told.append(example.get_simplelabel_prediction())
        return told

    def _example(self, model: Workspace, features: dict[str, list], row: int) -> Example:
        example = model.example(features)
        example.set_label_string(self._labels[row])
        return example

    def _raw(self, row: int) -> dict[str, list]:
        of = self._columns
        return {"u": [of["user"][row]], "i": [of["item"][row]], "d": [of["bucket"][row]], "h": [of["hour"][row]]}

    def _dense(self, row: int) -> dict[str, list]:
        return {**self._raw(row), "f": list(zip(self._places, self._columns["dense"][row], strict=True))}

    def _text(self, row: int) -> str:
        values = enumerate(self._columns["dense"][row])
        return f"{self._labels[row]} |f " + " ".join(f"{place}:{value:.6g}" for place, value in values)


def main() -> None:
    """Answer lines until there are none."""
    rows = Rows(Path(sys.argv[1]))
    gc.collect()
    gc.freeze()  # as in our process: what was read is not looked through again
    _say(__version__)
    for line in sys.stdin:
        kind, manner, number = line.split()
        _say(str(rows.tell(manner, number) if kind == "tell" else rows.learn_ms(manner, int(number))))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
