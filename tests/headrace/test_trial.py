"""An arm's clicks beside live's, and what a model lacks to become live."""

import math

import numpy as np
import pytest
from msgspec import structs

from headrace.models.arm_comparison import Served, Trial, counted
from headrace.models.promotion import wanted
from headrace.models.shadow_comparison import ENOUGH, NOTHING, Duel
from schemas.samples import CORRECTION, Sample
from simulator.sample_stream import START_MS, WAIT_MS, sample


def world(count: int, *, chances: dict[str, float], users: int = 100) -> tuple[list[Served], list[Sample]]:
    """Slates of two slots by turns, one policy a user; each slot is clicked by its policy's chance."""
    generator, policies = np.random.default_rng(0), list(chances)
    served, rows = [], []
    for number in range(count):
        user = number % users
        policy, at = policies[user % len(policies)], START_MS + 1_000 * number
        name = f"r{number}"
        served.append(Served(request_id=name, user_id=f"u{user}", policy=policy, served_at=at))
        for position in range(2):
            click = float(generator.random() < chances[policy])
            known_at = at + 500 if click else at + WAIT_MS
            rows.append(
                sample(request_id=name, position=position, click=click, served_at=at, known_at=known_at, policy=policy)
            )
    return served, sorted(rows, key=lambda row: row.known_at)


def test_the_rate_is_of_closed_slates_and_a_late_click_counts_once():
    served, rows = world(4, chances={"model:live": 0.0, "model:swift": 0.0}, users=4)
    late = structs.replace(rows[2], click=1.0, kind=CORRECTION)  # of r1
    still_open = structs.replace(served[0], request_id="open", served_at=served[-1].served_at + 1)
    found = counted([*served, still_open], [*rows, late, late])
    assert (found.arm.slates, found.arm.users, found.arm.rate) == (2, 2, 0.5)
    assert (found.live.slates, found.live.rate, found.live.error) == (2, 0.0, 0.0)
    assert not found.is_enough


def test_a_click_of_a_third_arm_closes_nothing():
    served, rows = world(4, chances={"model:live": 0.0, "model:swift": 0.0}, users=4)
    later = served[-1].served_at + 1_000
    open_still = structs.replace(served[0], request_id="open", served_at=later)
    negative = structs.replace(rows[0], request_id="third", policy="model:third", served_at=later)
    assert counted([*served, open_still], [*rows, structs.replace(negative, click=1.0)]).live.slates == 2
    assert counted([*served, open_still], [*rows, negative]).live.slates == 3


def test_the_error_is_by_users():
    served, rows = world(2_000, chances={"model:live": 0.3, "model:swift": 0.3})
    found = counted(served, rows)
    assert found.arm.error == pytest.approx(math.sqrt(2 * 0.3 * 0.7 / 1_000), rel=0.3)
    copies = [structs.replace(each, request_id=f"{each.request_id}'") for each in served]
    again = [structs.replace(row, request_id=f"{row.request_id}'") for row in rows]
    twice = counted([*served, *copies], [*rows, *again])
    assert twice.arm.error == pytest.approx(found.arm.error)  # the same slates again tell nothing new of the users


@pytest.mark.parametrize(("chance", "worse"), [(0.3, False), (0.33, False), (0.2, True)])
def test_an_arm_is_worse_by_two_standard_errors_or_it_is_not(chance: float, worse: bool):
    found = counted(*world(2_000, chances={"model:live": 0.3, "model:swift": chance}))
    assert found.is_enough
    assert found.is_worse == worse


def test_the_arm_decides_where_there_is_one_and_the_shadow_may_still_refuse():
    good = counted(*world(2_000, chances={"model:live": 0.3, "model:swift": 0.4}))
    bad = counted(*world(2_000, chances={"model:live": 0.3, "model:swift": 0.2}))
    short = counted(*world(100, chances={"model:live": 0.3, "model:swift": 0.4}))
    fine, poor = (Duel(slates=ENOUGH, slots=1, live=1, challenger=1, above=x, error=0.1) for x in (0.0, 0.5))
    for found, tried, lacks in (
        (NOTHING, Trial(), "on 0 closed slates, 200 are wanted"),
        (fine, Trial(), ""),
        (poor, Trial(), "worse than live by more than 2 standard errors: log loss"),
        (NOTHING, good, ""),
        (fine, bad, "worse than live by more than 2 standard errors: clicks a slate"),
        (fine, short, "an arm of 50 closed slates beside 50 of live"),
        (poor, good, "worse than live by more than 2 standard errors: log loss"),
    ):
        told = wanted("swift", found, tried)
        assert (lacks in told) if lacks else told == ""
