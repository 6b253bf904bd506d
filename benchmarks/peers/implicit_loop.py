"""Alternating least squares of `implicit` in its own process (benchmarks/peers/implicit.lock), with a line protocol.

`implicit_loop.py FOLDER` reads `rows.json` in the folder, an object of columns (user, item, at_ms) of numbers, and
prints its version. `fit FACTORS REGULARISATION ALPHA HALF_LIFE END` fits the rows before END, with a confidence of
ALPHA that halves every HALF_LIFE days of age, and writes the vectors of items to `items.npy`. `users START END` writes
to `users.npy` one vector per row: that of its user, folded in from all rows of the user before the row's time, those
since the fit included. Both print the seconds they took.
"""

import json
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path

import numpy as np
from implicit import __version__
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

_DAY_MS = 86_400_000
_ITERATIONS = 10


class Rows:
    """The rows, and the model that was fitted to them last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        columns = json.loads((folder / "rows.json").read_text())
        self._users, self._items, self._at_ms = (np.array(columns[name]) for name in ("user", "item", "at_ms"))
        self._rows_of: defaultdict[int, list[int]] = defaultdict(list)
        for row, user in enumerate(columns["user"]):
            self._rows_of[user].append(row)
        self._model, self._alpha, self._half_life_ms = AlternatingLeastSquares(), 1.0, 1.0

    def fit(self, words: list[str]) -> None:
        """Fit a new model."""
        factors, regularisation, self._alpha, half_life_days = (float(word) for word in words[:4])
        end, self._half_life_ms = int(words[4]), half_life_days * _DAY_MS
        confidence = self._confidence(np.arange(end), self._at_ms[end])
        self._model = AlternatingLeastSquares(
            factors=int(factors), regularization=regularisation, iterations=_ITERATIONS, random_state=0
        )
        seen = csr_matrix((confidence, (self._users[:end], self._items[:end])))
        self._model.fit(seen, show_progress=False)
        np.save(self._folder / "items.npy", self._model.item_factors)

    def fold_in(self, words: list[str]) -> None:
        """Compute the vectors of the users of some rows."""
        start, end = (int(word) for word in words)
        before = [self._before(row) for row in range(start, end)]
        ends = np.cumsum([0, *(len(rows) for rows in before)])
        confidence = [self._confidence(rows, self._at_ms[start + row]) for row, rows in enumerate(before)]
        shape = (end - start, len(self._model.item_factors))
        items = self._items[np.concatenate(before)]
        histories = csr_matrix((np.concatenate(confidence), items, ends), shape=shape)
        np.save(self._folder / "users.npy", self._model.recalculate_user(np.arange(end - start), histories))

    def _confidence(self, rows: np.ndarray, at_ms: int) -> np.ndarray:
        ages = at_ms - self._at_ms[rows]
        return (self._alpha * 0.5 ** (ages / self._half_life_ms)).astype(np.float32)

    def _before(self, row: int) -> np.ndarray:
        """Rows of the same user before the time of a row, whose items the model has."""
        rows = self._rows_of[int(self._users[row])]
        earlier = np.array(rows[: bisect_left(rows, self._at_ms[row], key=lambda each: self._at_ms[each])], np.int64)
        return earlier[self._items[earlier] < len(self._model.item_factors)]


def main() -> None:
    """Answer lines until the input ends."""
    rows = Rows(Path(sys.argv[1]))
    _print(__version__)
    with threadpool_limits(1, "blas"):  # the library runs its own threads
        for line in sys.stdin:
            kind, *words = line.split()
            begun = time.perf_counter()
            (rows.fit if kind == "fit" else rows.fold_in)(words)
            _print(str(time.perf_counter() - begun))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
