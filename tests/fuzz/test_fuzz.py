"""A short run of each target, and every case that a longer one ever found; `make fuzz` runs as long as it is told."""

import pytest

from tests.fuzz.campaign import Campaign, replayed
from tests.fuzz.cases import all_cases

CASES = all_cases()


@pytest.mark.parametrize(
    ("name", "inputs"), [("events", 1_500), ("loader", 200), ("samples", 800), ("readers", 600), ("requests", 300)]
)
def test_nothing_that_is_sent_ends_a_part(name: str, inputs: int) -> None:
    campaign = Campaign(name, 7)
    campaign.run(inputs)
    assert campaign.found == []
    assert campaign.counts["inputs"] == inputs


@pytest.mark.parametrize("name", CASES)
def test_what_was_found_once_is_not_found_again(name: str) -> None:
    replayed(CASES[name])
