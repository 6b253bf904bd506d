"""Seasonal models: which season a day is in, and which errors of the file are reported."""

from pathlib import Path

import pytest

from headrace.errors import UsageProblem
from headrace.layout import Layout
from headrace.stack.calendar import find_season, read_seasons, unservable

TEXT = """
- {name: sales, from: 11-27, to: 11-30, model: sales}
- {name: winter, from: 11-01, to: 02-28, model: winter}
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.seasons_file.write_text(TEXT)
    for model in ("sales", "winter"):
        (layout.artefacts / model / "snapshots" / "1.7").mkdir(parents=True)
        (layout.artefacts / model / "snapshots" / "1.7" / "meta.json").touch()
    return layout


@pytest.mark.parametrize(
    ("today", "name"),
    [("11-26", "winter"), ("11-27", "sales"), ("11-30", "sales"), ("12-01", "winter"), ("02-28", "winter")]
    + [(day, None) for day in ("03-01", "10-31")],
)
def test_the_first_season_that_contains_the_day_is_followed(layout: Layout, today: str, name: str | None) -> None:
    found = find_season(layout, read_seasons(layout), today, trained=())
    assert (found and found.name) == name


def test_a_model_without_a_snapshot_has_no_season(layout: Layout) -> None:
    (layout.artefacts / "sales" / "snapshots" / "1.7" / "meta.json").unlink()
    found = find_season(layout, read_seasons(layout), "11-28", trained=())
    assert found is not None
    assert found.model == "winter"


def test_a_model_in_training_has_no_season(layout: Layout) -> None:
    (layout.artefacts / "sales" / "training.msgpack").touch()
    found = [find_season(layout, read_seasons(layout), "11-28", trained=trained) for trained in ((), ("sales",))]
    assert [each and each.model for each in found] == ["winter", "sales"]
    assert "headrace train --model sales" in unservable(layout, "sales", trained=())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: a, from: 13-01, to: 01-01, model: m}", "'13-01'"),
        ("- {name: a, from: 12-01, to: 01-01, model: M/}", "'M/'"),
        ("- {name: a, from: 12-01, model: m}", "`to`"),
        ("- {name: a, from: 12-01, to: 12-02, model: m, year: 3}", "`year`"),
        ("a: {", "is not valid"),
    ],
)
def test_an_invalid_file_is_refused(layout: Layout, text: str, message: str) -> None:
    layout.seasons_file.write_text(text)
    with pytest.raises(UsageProblem, match=message):
        read_seasons(layout)


def test_without_a_file_there_are_no_seasons(tmp_path: Path) -> None:
    assert read_seasons(Layout(tmp_path)) == []
