"""The options with which a stopped training may be resumed."""

from pathlib import Path

import pytest
from msgspec import structs

from headrace.errors import UsageProblem
from headrace.layout import Layout
from headrace.log.sample_range import SampleRange
from headrace.training.request import Training, load_training, parse_request, save_training

STARTED = Training(
    model="again",
    span=SampleRange(begin=3, until=9, samples=6, first_ms=1_700_000_000_500, last_ms=1_700_000_900_000),
    from_ms=1_700_000_000_000,
    to_ms=1_700_001_000_000,
    until_ms=1_700_000_900_001,
    half_life_days=30.0,
)


def test_omitted_or_equal_options_resume_it(tmp_path: Path) -> None:
    save_training(Layout(tmp_path), STARTED)
    training = load_training(Layout(tmp_path), "again")
    for begin, to, half_life_days in (
        (None, None, None),
        ("2023-11-14T22:13:20", None, None),
        (None, "1700001000000", 30.0),
        ("1700000000000", "1700001000000", 30.0),
    ):
        parse_request(begin, to, model="again", half_life_days=half_life_days).check_resumes(training)


@pytest.mark.parametrize(
    ("begin", "to", "half_life_days", "message"),
    [
        (
            "2023-11-14",
            None,
            None,
            "--from is 2023-11-14 00:00:00, but the stopped training of again was started with 2023-11-14 22:13:20",
        ),
        (
            None,
            "2023-11-15",
            None,
            "--to is 2023-11-15 00:00:00, but the stopped training of again was started with 2023-11-14 22:30:00",
        ),
        (
            None,
            None,
            7.0,
            "--half-life-days is 7, but the stopped training of again was started with 30: leave --half-life-days out",
        ),
    ],
)
def test_a_different_option_is_refused(
    begin: str | None, to: str | None, half_life_days: float | None, message: str
) -> None:
    request = parse_request(begin, to, model="again", half_life_days=half_life_days)
    with pytest.raises(UsageProblem, match=message):
        request.check_resumes(STARTED)


def test_an_unreadable_training_file_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    save_training(layout, structs.replace(STARTED, model="torn"))
    (layout.artefacts / "torn" / "training.msgpack").write_bytes(b"{")
    with pytest.raises(UsageProblem, match="cannot be read"):
        load_training(layout, "torn")


@pytest.mark.parametrize(("begin", "to"), [("2099-01-01", None), ("2023-11-15", "2023-11-14")])
def test_a_begin_after_the_end_is_refused(begin: str, to: str | None) -> None:
    with pytest.raises(UsageProblem, match=f"--from is {begin} 00:00:00, but the end"):
        parse_request(begin, to, model=None, half_life_days=None)
