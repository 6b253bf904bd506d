"""A short run of each target, and all cases that longer runs have found; `make fuzz MINUTES=n` runs longer."""

import pytest

from tests.fuzz.campaign import Campaign, replay_case
from tests.fuzz.cases import all_cases

CASES = all_cases()


@pytest.mark.parametrize(
    ("name", "inputs"), [("events", 1_500), ("loader", 200), ("samples", 800), ("readers", 600), ("requests", 300)]
)
def test_no_input_crashes_a_target(name: str, inputs: int) -> None:
    campaign = Campaign(name, 7)
    campaign.run(inputs)
    assert campaign.found == []
    assert campaign.counts["inputs"] == inputs


@pytest.mark.parametrize("name", CASES)
def test_a_case_stays_fixed(name: str) -> None:
    replay_case(CASES[name])
