"""Live and the challenger over the same closed slots."""

import math

import pytest

from headrace.models.shadow_comparison import ENOUGH, NOTHING, compared
from schemas.samples import Sample
from schemas.shadows import Shadow
from simulator.sample_stream import START_MS, WAIT_MS, sample

CLICKED, OPEN = 0.8, 0.2


def slates(count: int, *, ours: tuple[float, float], theirs: tuple[float, float]) -> tuple[dict[str, Shadow], list]:
    """Slates of two slots, one clicked; a pair holds the chance that was told for the clicked and for the open one."""
    shadows, rows = {}, []
    for number in range(count):
        at, name = START_MS + 1_000 * number, f"r{number}"
        shadows[name] = Shadow(request_id=name, served_at=at, model="rival", version="1.9", click=list(theirs))
        told = {"request_id": name, "served_at": at, "policy": "model:live"}
        rows.append(sample(**told, position=0, click=1.0, known_at=at + 500, served_score=ours[0]))
        rows.append(sample(**told, position=1, known_at=at + WAIT_MS, served_score=ours[1]))
    return shadows, sorted(rows, key=lambda row: row.known_at)


def test_both_losses_are_of_the_same_slots():
    found = compared(*slates(ENOUGH, ours=(0.5, 0.5), theirs=(CLICKED, OPEN)))
    assert (found.slates, found.slots) == (ENOUGH, 2 * ENOUGH)
    assert found.live == pytest.approx(math.log(2))
    assert found.challenger == pytest.approx(-math.log(0.8))
    assert found.above == pytest.approx(found.challenger - found.live)
    assert found.is_not_worse


def test_a_worse_one_and_one_little_seen_are_refused():
    assert not compared(*slates(ENOUGH, ours=(CLICKED, OPEN), theirs=(0.5, 0.5))).is_not_worse
    assert not compared(*slates(ENOUGH - 1, ours=(0.5, 0.5), theirs=(CLICKED, OPEN))).is_not_worse
    assert compared({}, []) is NOTHING
    assert not NOTHING.is_not_worse


def test_a_slot_counts_once_it_is_closed():
    """A positive of an open slot would count before the negatives beside it."""
    shadows, rows = slates(10, ours=(0.5, 0.5), theirs=(CLICKED, OPEN))
    early = [row for row in rows if row.known_at < START_MS + WAIT_MS + 4_500]
    found = compared(shadows, early)
    assert (found.slates, found.slots) == (5, 10)


def test_other_policies_later_words_and_what_speaks_of_no_click_are_left_out():
    shadows, rows = slates(10, ours=(0.5, 0.5), theirs=(CLICKED, OPEN))

    def more(**changes: object) -> list[Sample]:
        return [sample(**({"request_id": "r3", "policy": "model:live", "served_at": START_MS} | changes))]

    odd = [*more(policy="popular"), *more(kind="correction"), *more(click=None), *more(weight=0.0), *more(position=7)]
    assert compared(shadows, [*rows, *odd, *more(request_id="unseen")]) == compared(shadows, rows)


def test_a_kept_negative_stands_for_those_dropped():
    shadows, rows = slates(10, ours=(0.5, 0.5), theirs=(CLICKED, 0.4))
    kept = [sample_at_rate(row, 0.5) for row in rows]
    found = compared(shadows, kept)
    assert found.challenger == pytest.approx(-(math.log(0.8) + 2 * math.log(0.6)) / 3)


def sample_at_rate(row: Sample, rate: float) -> Sample:
    return sample(**{name: getattr(row, name) for name in row.__struct_fields__} | {"negative_rate": rate})
