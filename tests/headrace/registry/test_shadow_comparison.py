"""Live and the challenger are compared over the same closed slots."""

import math

import pytest
from msgspec import structs

from headrace.registry.shadow_comparison import ENOUGH, NO_SLATES, compare
from headrace.schemas.samples import Sample
from headrace.schemas.shadows import Shadow
from headrace.simulator.sample_stream import START_MS, WAIT_MS, sample

CLICKED, OPEN = 0.8, 0.2


def slates(count: int, *, live: tuple[float, float], challenger: tuple[float, float]) -> tuple[dict[str, Shadow], list]:
    """Slates of two slots, one clicked; each pair: the predicted chances of the clicked slot and of the other."""
    shadows, rows = {}, []
    for number in range(count):
        at, name = START_MS + 1_000 * number, f"r{number}"
        shadows[name] = Shadow(request_id=name, served_at=at, model="rival", version="1.9", click=list(challenger))
        slate = {"request_id": name, "served_at": at, "policy": "model:live"}
        rows.append(sample(**slate, position=0, click=1.0, known_at=at + 500, served_score=live[0]))
        rows.append(sample(**slate, position=1, known_at=at + WAIT_MS, served_score=live[1]))
    return shadows, sorted(rows, key=lambda row: row.known_at)


def test_both_losses_cover_the_same_slots():
    found = compare(*slates(ENOUGH, live=(0.5, 0.5), challenger=(CLICKED, OPEN)))
    assert (found.slates, found.slots) == (ENOUGH, 2 * ENOUGH)
    assert found.live == pytest.approx(math.log(2))
    assert found.challenger == pytest.approx(-math.log(0.8))
    assert found.difference == pytest.approx(found.challenger - found.live)
    assert found.is_not_worse


def test_a_worse_challenger_and_one_with_too_few_slates_are_refused():
    assert not compare(*slates(ENOUGH, live=(CLICKED, OPEN), challenger=(0.5, 0.5))).is_not_worse
    assert not compare(*slates(ENOUGH - 1, live=(0.5, 0.5), challenger=(CLICKED, OPEN))).is_not_worse
    assert compare({}, []) is NO_SLATES
    assert not NO_SLATES.is_not_worse


def test_a_slot_counts_once_it_is_closed():
    """Otherwise a positive of an open slot would count before the negatives of its slate."""
    shadows, rows = slates(10, live=(0.5, 0.5), challenger=(CLICKED, OPEN))
    early = [row for row in rows if row.known_at < START_MS + WAIT_MS + 4_500]
    found = compare(shadows, early)
    assert (found.slates, found.slots) == (5, 10)


def test_other_policies_corrections_and_rows_without_a_click_label_are_left_out():
    shadows, rows = slates(10, live=(0.5, 0.5), challenger=(CLICKED, OPEN))

    def more(**changes: object) -> list[Sample]:
        return [sample(**({"request_id": "r3", "policy": "model:live", "served_at": START_MS} | changes))]

    odd = [*more(policy="popular"), *more(kind="correction"), *more(click=None), *more(weight=0.0), *more(position=7)]
    assert compare(shadows, [*rows, *odd, *more(request_id="unseen")]) == compare(shadows, rows)


def test_a_kept_negative_is_weighted_for_those_dropped():
    shadows, rows = slates(10, live=(0.5, 0.5), challenger=(CLICKED, 0.4))
    kept = [sample_at_rate(row, 0.5) for row in rows]
    found = compare(shadows, kept)
    assert found.challenger == pytest.approx(-(math.log(0.8) + 2 * math.log(0.6)) / 3)


def sample_at_rate(row: Sample, rate: float) -> Sample:
    return sample(**{name: getattr(row, name) for name in row.__struct_fields__} | {"negative_rate": rate})


def test_another_score_head_is_compared_and_its_explicit_negatives_close_nothing():
    """An event that said 0 is known before its slate is closed."""
    shadows, rows = slates(10, live=(0.5, 0.5), challenger=(CLICKED, OPEN))
    named = [structs.replace(row, click=None, labels={"opened": row.click or 0.0}) for row in rows]
    assert compare(shadows, named) is NO_SLATES
    assert compare(shadows, named, "opened") == compare(shadows, rows)
    early = [row for row in named if row.known_at < START_MS + WAIT_MS + 4_500]
    last = structs.replace(named[-1], kind="explicit", known_at=named[-1].served_at + 1)
    assert compare(shadows, [*early, last], "opened") == compare(shadows, early, "opened")
    first = [row for row in named if row.request_id == "r0"]
    said = [structs.replace(row, kind="explicit") if not row.labels["opened"] else row for row in first]
    assert compare(shadows, [*said, *named[2:]], "opened") == compare(shadows, named, "opened")
