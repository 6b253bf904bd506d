"""What lets a training begin: hours of the day, and drift since the last one."""

import pytest
from msgspec import structs

from headrace.errors import UsageProblem
from headrace.timestamps import moment
from headrace.training.time_window import hours
from headrace.training.triggers import gone_back, shifted
from schemas.control import Control
from schemas.version_policy import HALT, TRAINED, rollback_decision


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("01:00-05:00", ("01:00", "04:59"), ("00:59", "05:00", "13:00")),
        ("22:30-04:00", ("22:30", "23:59", "00:00", "03:59"), ("04:00", "12:00", "22:29")),
    ],
)
def test_they_begin_with_the_first_minute_and_end_before_the_last(
    text: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    for clock, held in (*((each, True) for each in inside), *((each, False) for each in outside)):
        assert hours(text).hold(moment(f"2026-11-22T{clock}")) == held, clock


@pytest.mark.parametrize("text", ["1-5", "01:00", "24:00-05:00", "01:60-05:00", "03:00-03:00", "01:00-05:00 "])
def test_what_names_none_is_told(text: str) -> None:
    with pytest.raises(UsageProblem, match="such as 01:00-05:00"):
        hours(text)


def test_features_that_have_moved_are_counted() -> None:
    told = "".join(f'headrace_feature_psi{{feature="{name}"}} {psi}\n' for name, psi in (("a", 0.3), ("b", 0.1)))
    assert shifted(f'{told}headrace_feature_psi{{feature="c"}} NaN\nheadrace_feature_mean{{feature="a"}} 9\n') == 1


def test_going_back_counts_since_the_last_training_once_each_unless_an_operator_did() -> None:
    trained = Control(name="x", action=TRAINED, arguments={}, who="", at=5, why="")
    decisions: list[Control] = []
    for at in (4, 6):
        back, halt = (
            rollback_decision("ranker", (1, 3), epoch=at),
            rollback_decision("ranker", (1, 3), epoch=at, action=HALT),
        )
        other = rollback_decision("swift", (1, 3), epoch=at, action=HALT)
        told = [(halt, "learner"), (back, "serving"), (back, "serving"), (back, "operator"), (other, "learner")]
        decisions += [structs.replace(each, who=who, at=at) for each, who in told]
    assert (gone_back(decisions), gone_back([*decisions, trained])) == (4, 2)
