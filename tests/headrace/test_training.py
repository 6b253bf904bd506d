"""What a training that was begun and stopped lets one ask for."""

from pathlib import Path

import pytest
from msgspec import structs

from headrace.errors import UsageProblem
from headrace.layout import Layout
from headrace.log.sample_range import SampleRange
from headrace.training.request import Training, asked_for, begun, note

BEGUN = Training(
    model="again",
    span=SampleRange(begin=3, until=9, samples=6, first_ms=1_700_000_000_500, last_ms=1_700_000_900_000),
    from_ms=1_700_000_000_000,
    to_ms=1_700_001_000_000,
    until_ms=1_700_000_900_001,
    half_life_days=30.0,
)


def test_what_was_not_given_follows_what_it_was_begun_with(tmp_path: Path) -> None:
    note(Layout(tmp_path), BEGUN)
    was = begun(Layout(tmp_path), "again")
    for begin, to, half_life_days in (
        (None, None, None),
        ("2023-11-14T22:13:20", None, None),
        (None, "1700001000000", 30.0),
        ("1700000000000", "1700001000000", 30.0),
    ):
        asked_for(begin, to, model="again", half_life_days=half_life_days).refuse_another(was)


@pytest.mark.parametrize(
    ("begin", "to", "half_life_days", "message"),
    [
        ("2023-11-14", None, None, "--from is 2023-11-14 00:00:00, and again was begun with 2023-11-14 22:13:20"),
        (None, "2023-11-15", None, "--to is 2023-11-15 00:00:00, and again was begun with 2023-11-14 22:30:00"),
        (None, None, 7.0, "--half-life-days is 7, and again was begun with 30 and stopped: leave --half-life-days out"),
    ],
)
def test_what_says_another_thing_is_refused(
    begin: str | None, to: str | None, half_life_days: float | None, message: str
) -> None:
    asked = asked_for(begin, to, model="again", half_life_days=half_life_days)
    with pytest.raises(UsageProblem, match=message):
        asked.refuse_another(BEGUN)


def test_what_it_was_begun_with_cannot_be_read(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    note(layout, structs.replace(BEGUN, model="torn"))
    (layout.artefacts / "torn" / "training.msgpack").write_bytes(b"{")
    with pytest.raises(UsageProblem, match="cannot be read"):
        begun(layout, "torn")


@pytest.mark.parametrize(("begin", "to"), [("2099-01-01", None), ("2023-11-15", "2023-11-14")])
def test_a_beginning_after_the_end_is_refused(begin: str, to: str | None) -> None:
    with pytest.raises(UsageProblem, match=f"--from is {begin} 00:00:00, and the end"):
        asked_for(begin, to, model=None, half_life_days=None)
