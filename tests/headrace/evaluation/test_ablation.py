"""`evaluate --without`: what a group is worth on a log, with its standard error."""

from pathlib import Path

import numpy as np
import pytest

from headrace.errors import UsageProblem
from headrace.evaluation.ablation import Ablation, mean_by_user
from headrace.evaluation.log import Log, parse_columns, read
from headrace.evaluation.run import Settings, Task, evaluate

WHAT_ITEMS_DO = ("item_engagement", "item_quality", "item_heat", "item_popularity", "item_growth")


def log_of(path: Path, *, label: str = ",label=clicked") -> Log:
    """Items differ much in their rates, and new ones come all the time: only their features can tell them apart."""
    rng = np.random.default_rng(3)
    rates = rng.choice([0.05, 0.9], 200)
    lines = ["who,what,when,clicked"]
    for row in range(1_500):
        item = min(row // 8 + int(rng.integers(8)), 199)
        lines.append(f"u{rng.integers(60)},i{item},{1_700_000_000 + 60 * row},{int(rng.random() < rates[item])}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read(path, parse_columns(f"user=who,item=what,time=when{label}", ()), warm_share=0.3)


def without(path: Path, *groups: str, task: Task = "ctr") -> Ablation:
    log = log_of(path / "log.csv", label=",label=clicked" if task == "ctr" else "")
    found = evaluate(log, Settings(seed=1, task=task, without=groups), on_progress=lambda _: None).without
    assert found is not None
    return found


def test_groups_that_tell_items_apart_are_worth_more_than_the_error(tmp_path: Path) -> None:
    found = without(tmp_path, *WHAT_ITEMS_DO)
    assert found.metric == "log_loss"
    assert found.difference > 2 * found.error > 0
    assert "they help" in found.line


def test_a_group_that_the_log_says_nothing_about_is_worth_exactly_nothing(tmp_path: Path) -> None:
    """The log names no sellers."""
    found = without(tmp_path, "seller_quality")
    assert (found.difference, found.error) == (0.0, 0.0)
    assert "they make no difference" in found.line


def test_ranks_are_compared_too(tmp_path: Path) -> None:
    found = without(tmp_path, "seller_quality", task="rank")
    assert (found.metric, found.difference, found.error) == ("mrr", 0.0, 0.0)


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="--without names item_haet; the groups are"):
        without(tmp_path, "item_haet")


def test_the_error_counts_users_not_rows() -> None:
    """Ten equal rows of each user say no more than one."""
    rng = np.random.default_rng(0)
    values, users = rng.normal(size=50), [f"u{number}" for number in range(50)]
    once = mean_by_user(values, users)
    tenfold = mean_by_user(np.repeat(values, 10), [user for user in users for _ in range(10)])
    assert tenfold.value == pytest.approx(once.value)
    assert tenfold.error == pytest.approx(once.error)
    assert once.error == pytest.approx(values.std(ddof=1) / np.sqrt(50))
