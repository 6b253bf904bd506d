"""LightGBM in its own process and environment (benchmarks/peers/lightgbm.lock), with a line protocol.

`lightgbm_loop.py FOLDER` reads `rows.json` in the folder, an object of columns (user, item, bucket, hour, dense,
label), and prints its version. `fit raw|dense TREES LEAVES RATE SHARE LEAST SMOOTH START END` fits a new model to the
rows from START to before END, with a share of the columns per tree, at least LEAST rows per leaf and smoothed ids, and
prints the seconds. `predict START END` prints the chances of rows as JSON. The ids are categories for LightGBM; `dense`
adds the dense inputs.
"""

import json
import sys
import time
from pathlib import Path

import lightgbm
import numpy as np

_IDS = ("user", "item", "bucket", "hour")


class Rows:
    """The rows, and the model that was fitted to them last."""

    def __init__(self, folder: Path) -> None:
        columns = json.loads((folder / "rows.json").read_text())
        ids = [_numbers(columns[name]) for name in _IDS]
        dense = np.array(columns["dense"])
        self._columns = np.concatenate([np.stack(ids, axis=1), dense], axis=1).astype(np.float32)
        self._labels = np.array(columns["label"], np.float32)
        self._model: lightgbm.Booster | None = None
        self._width = 0

    def fit(self, words: list[str]) -> float:
        """Fit a new model; returns the seconds that it took."""
        inputs, trees, leaves, rate, share, least, smooth, start, end = words
        self._width = len(_IDS) if inputs == "raw" else self._columns.shape[1]
        learned = slice(int(start), int(end))
        begun = time.perf_counter()
        rows = lightgbm.Dataset(
            self._columns[learned, : self._width], self._labels[learned], categorical_feature=list(range(len(_IDS)))
        )
        settings = {
            "objective": "binary",
            "num_leaves": int(leaves),
            "learning_rate": float(rate),
            "feature_fraction": float(share),
            "min_data_in_leaf": int(least),
            "cat_smooth": float(smooth),
            "cat_l2": float(smooth),
            "seed": 0,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        self._model = lightgbm.train(settings, rows, int(trees))
        return time.perf_counter() - begun

    def predict(self, words: list[str]) -> list[float]:
        """Chances of rows by the last model."""
        start, end = (int(word) for word in words)
        if self._model is None:
            message = "predict before the first fit"
            raise ValueError(message)
        return self._model.predict(self._columns[start:end, : self._width]).tolist()


def _numbers(ids: list[str]) -> np.ndarray:
    """Ids as numbers in the order of their first rows."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(each, len(numbers)) for each in ids])


def main() -> None:
    """Answer lines until the input ends."""
    rows = Rows(Path(sys.argv[1]))
    _print(json.dumps(lightgbm.__version__))
    for line in sys.stdin:
        kind, *words = line.split()
        _print(json.dumps(rows.fit(words) if kind == "fit" else rows.predict(words)))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
