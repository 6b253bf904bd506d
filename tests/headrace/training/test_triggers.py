"""When a training may start: within its time window, and after drift since the last training."""

import pytest
from msgspec import structs

from headrace.errors import UsageProblem
from headrace.schemas.control import SERVING, Control
from headrace.schemas.versions.version_policy import HALT, TRAINED, rollback_decision
from headrace.timestamps import parse_time
from headrace.training.time_window import parse_window
from headrace.training.triggers import count_rollbacks, count_shifted


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("01:00-05:00", ("01:00", "04:59"), ("00:59", "05:00", "13:00")),
        ("22:30-04:00", ("22:30", "23:59", "00:00", "03:59"), ("04:00", "12:00", "22:29")),
    ],
)
def test_a_window_includes_its_first_minute_and_excludes_its_last(
    text: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    for clock, expected in (*((each, True) for each in inside), *((each, False) for each in outside)):
        assert parse_window(text).contains(parse_time(f"2026-11-22T{clock}")) == expected, clock


@pytest.mark.parametrize("text", ["1-5", "01:00", "24:00-05:00", "01:60-05:00", "03:00-03:00", "01:00-05:00 "])
def test_text_that_is_not_a_window_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="such as 01:00-05:00"):
        parse_window(text)


def test_shifted_features_are_counted() -> None:
    metrics = "".join(f'headrace_feature_psi{{feature="{name}"}} {psi}\n' for name, psi in (("a", 0.3), ("b", 0.1)))
    assert (
        count_shifted(f'{metrics}headrace_feature_psi{{feature="c"}} NaN\nheadrace_feature_mean{{feature="a"}} 9\n')
        == 1
    )


def test_each_automatic_rollback_since_the_last_training_counts_once() -> None:
    trained = Control(name="x", action=TRAINED, arguments={}, who="", at=5, why="")
    decisions: list[Control] = []
    for at in (4, 6):
        back, halt = (
            rollback_decision("ranker", (1, 3), epoch=at),
            rollback_decision("ranker", (1, 3), epoch=at, action=HALT),
        )
        other = rollback_decision("swift", (1, 3), epoch=at, action=HALT)
        records = [(halt, "learner"), (back, SERVING), (back, SERVING), (back, "operator"), (other, "learner")]
        decisions += [structs.replace(each, who=who, at=at) for each, who in records]
    assert (count_rollbacks(decisions), count_rollbacks([*decisions, trained])) == (4, 2)
