"""An arm's clicks compared with live's, and the objections to a promotion."""

import math

import numpy as np
import pytest
from msgspec import structs

from headrace.registry.arm_comparison import ArmComparison, ServedSlate, count_clicks
from headrace.registry.promotion import objection_to
from headrace.registry.shadow_comparison import ENOUGH, NO_SLATES, ShadowComparison
from headrace.schemas.samples import CORRECTION, EXPLICIT, Sample
from headrace.simulator.sample_stream import START_MS, WAIT_MS, sample


def world(count: int, *, chances: dict[str, float], users: int = 100) -> tuple[list[ServedSlate], list[Sample]]:
    """Slates of two slots, policies alternating by user; each slot is clicked with its policy's chance."""
    generator, policies = np.random.default_rng(0), list(chances)
    served, rows = [], []
    for number in range(count):
        user = number % users
        policy, at = policies[user % len(policies)], START_MS + 1_000 * number
        name = f"r{number}"
        served.append(ServedSlate(request_id=name, user_id=f"u{user}", policy=policy, served_at=at))
        for position in range(2):
            click = float(generator.random() < chances[policy])
            known_at = at + 500 if click else at + WAIT_MS
            rows.append(
                sample(request_id=name, position=position, click=click, served_at=at, known_at=known_at, policy=policy)
            )
    return served, sorted(rows, key=lambda row: row.known_at)


def test_the_rate_covers_closed_slates_and_a_late_click_counts_once():
    served, rows = world(4, chances={"model:live": 0.0, "model:swift": 0.0}, users=4)
    late = structs.replace(rows[2], click=1.0, kind=CORRECTION)  # of r1
    still_open = structs.replace(served[0], request_id="open", served_at=served[-1].served_at + 1)
    found = count_clicks([*served, still_open], [*rows, late, late])
    assert (found.arm.slates, found.arm.users, found.arm.rate) == (2, 2, 0.5)
    assert (found.live.slates, found.live.rate, found.live.error) == (2, 0.0, 0.0)
    assert not found.is_enough


def test_a_click_of_a_third_arm_closes_nothing():
    served, rows = world(4, chances={"model:live": 0.0, "model:swift": 0.0}, users=4)
    later = served[-1].served_at + 1_000
    open_still = structs.replace(served[0], request_id="open", served_at=later)
    negative = structs.replace(rows[0], request_id="third", policy="model:third", served_at=later)
    assert count_clicks([*served, open_still], [*rows, structs.replace(negative, click=1.0)]).live.slates == 2
    assert count_clicks([*served, open_still], [*rows, negative]).live.slates == 3


def test_the_error_is_clustered_by_user():
    served, rows = world(2_000, chances={"model:live": 0.3, "model:swift": 0.3})
    found = count_clicks(served, rows)
    assert found.arm.error == pytest.approx(math.sqrt(2 * 0.3 * 0.7 / 1_000), rel=0.3)
    copies = [structs.replace(each, request_id=f"{each.request_id}'") for each in served]
    again = [structs.replace(row, request_id=f"{row.request_id}'") for row in rows]
    twice = count_clicks([*served, *copies], [*rows, *again])
    assert twice.arm.error == pytest.approx(found.arm.error)  # repeating the slates adds nothing about the users


@pytest.mark.parametrize(("chance", "worse"), [(0.3, False), (0.33, False), (0.2, True)])
def test_an_arm_is_worse_only_beyond_two_standard_errors(chance: float, worse: bool):
    found = count_clicks(*world(2_000, chances={"model:live": 0.3, "model:swift": chance}))
    assert found.is_enough
    assert found.is_worse == worse


def test_the_arm_decides_where_there_is_one_and_the_shadow_may_still_refuse():
    good = count_clicks(*world(2_000, chances={"model:live": 0.3, "model:swift": 0.4}))
    bad = count_clicks(*world(2_000, chances={"model:live": 0.3, "model:swift": 0.2}))
    short = count_clicks(*world(100, chances={"model:live": 0.3, "model:swift": 0.4}))
    fine, poor = (
        ShadowComparison(slates=ENOUGH, slots=1, live=1, challenger=1, difference=x, error=0.1) for x in (0.0, 0.5)
    )
    for shadow, arms, expected in (
        (NO_SLATES, ArmComparison(), "on 0 closed slates, 200 are needed"),
        (fine, ArmComparison(), ""),
        (poor, ArmComparison(), "worse than live by more than 2 standard errors: log loss"),
        (NO_SLATES, good, ""),
        (fine, bad, "worse than live by more than 2 standard errors: clicks per slate"),
        (fine, short, "has 50 closed slates and live's has 50"),
        (poor, good, "worse than live by more than 2 standard errors: log loss"),
    ):
        objection = objection_to("swift", shadow, arms)
        assert (expected in objection) if expected else objection == ""


def test_the_positives_of_another_score_head_are_counted_and_its_explicit_negatives_close_nothing():
    served, rows = world(40, chances={"model:live": 0.3, "model:swift": 0.5})
    named = [structs.replace(row, click=None, labels={"opened": row.click or 0.0}) for row in rows]
    assert count_clicks(served, named, "opened") == count_clicks(served, rows)
    open_still = structs.replace(served[0], request_id="open", served_at=served[-1].served_at + 1_000)
    said = structs.replace(
        named[0], request_id="open", served_at=open_still.served_at, kind=EXPLICIT, labels={"opened": 0}
    )
    found = count_clicks([*served, open_still], [*named, said], "opened")
    assert found == count_clicks(served, named, "opened")
