"""What the candidate sources found for each row of a log: its item, and how many candidates there were."""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Flags, Indexes
from headrace.serving.stages.sources.table import BITS, SOURCES
from headrace.serving.state.query import Candidates

NAMES = tuple(source.name for source in SOURCES)  # S sources


class SourceCounts(Struct, frozen=True):
    """Candidates of the rows, after serving's filters; rows that are not scored have none.

    Attributes:
        positives: (N,) bits of the sources that found the row's item; 0 if none did.
        totals: (N,) number of candidates.
        found: (N, S) how many of them each source of `NAMES` found.
    """

    positives: Indexes
    totals: Indexes
    found: Indexes

    @classmethod
    def empty(cls, rows: int) -> "SourceCounts":
        """Counts of N rows without candidates."""
        zeros = np.zeros(rows, np.int64)
        return cls(zeros, zeros.copy(), np.zeros((rows, len(NAMES)), np.int64))

    def count(self, row: int, candidates: Candidates, is_positive: Flags) -> None:
        """Count the candidates of a row; `is_positive` (C,) marks its item."""
        self.positives[row] = candidates.found_by[is_positive].sum()  # one, or none
        self.totals[row] = len(candidates.ids)
        for source, name in enumerate(NAMES):
            self.found[row, source] = np.count_nonzero(candidates.found_by & BITS[name])
