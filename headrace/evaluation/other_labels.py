"""Labels of a log for other heads than the one that is predicted: they learn from these, and no input has them."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from headrace.reading.cells import kind_of
from headrace.schemas.model.heads import Head, Heads

_LABELS = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}
_MILLISECONDS = "_ms"  # the end of a column's name
_LONGEST_S = 86_400.0  # a day; the source of events refuses longer ones too


class OtherLabel(Struct, frozen=True):
    """A head and the column of its labels."""

    head: Head
    column: str

    def label(self, text: str) -> float:
        """The label of a cell; an empty one says that nothing came, as the end of a slot does.

        >>> watched = Head(name="watched", events=("dwell",), kind="seconds")
        >>> OtherLabel(watched, "play_time_ms").label("1500"), OtherLabel(watched, "seconds").label("")
        (1.5, 0.0)

        Raises:
            ValueError: the cell is no label of such a head.
        """
        if not text:
            return 0.0
        if self.head.kind == "logistic":
            if (found := zero_or_one(text)) is None:
                message = f"{self.head.name} is {text!r}, 0 or 1 is expected"
                raise ValueError(message)
            return found
        seconds = float(text) if kind_of(text) in ("whole number", "number") else -1.0
        seconds /= 1000 if self.column.endswith(_MILLISECONDS) else 1
        if not 0 <= seconds <= _LONGEST_S:
            unit = "milliseconds" if self.column.endswith(_MILLISECONDS) else "seconds"
            message = f"{self.head.name} is {text!r}, {unit} of at most a day are expected"
            raise ValueError(message)
        return seconds


def others_of(heads: Heads, given: Mapping[str, str]) -> tuple[OtherLabel, ...]:
    """The heads that a mapping names by their words, and their columns."""
    return tuple(OtherLabel(head, given[head.name]) for head in heads.ordered if head.name in given)


def words_of(heads: Heads, taken: Sequence[str]) -> tuple[str, ...]:
    """The heads that a mapping can name: all but the score head, unless their name says something else there."""
    return tuple(name for name in heads.names if name != heads.score.name and name not in taken)


def zero_or_one(text: str) -> float | None:
    """The label of a cell, which may also be `true` or `false`; None if it is another text.

    >>> [zero_or_one(text) for text in ("1", "0.0", "True", "2")]
    [1.0, 0.0, 1.0, None]
    """
    return _LABELS.get(text.lower().removesuffix(".0"))
