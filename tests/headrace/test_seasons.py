"""The calendar of models: which holds on a day, and what of the file is told."""

from pathlib import Path

import pytest

from headrace.errors import UsageProblem
from headrace.layout import Layout
from headrace.stack.calendar import lacking, season_at, seasons_of

TEXT = """
- {name: sales, from: 11-27, to: 11-30, model: sales}
- {name: winter, from: 11-01, to: 02-28, model: winter}
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.seasons_file.write_text(TEXT)
    for model in ("sales", "winter"):
        (made.artefacts / model / "snapshots" / "1.7").mkdir(parents=True)
        (made.artefacts / model / "snapshots" / "1.7" / "meta.json").touch()
    return made


@pytest.mark.parametrize(
    ("today", "name"),
    [("11-26", "winter"), ("11-27", "sales"), ("11-30", "sales"), ("12-01", "winter"), ("02-28", "winter")]
    + [(day, None) for day in ("03-01", "10-31")],
)
def test_the_first_that_holds_is_followed(layout: Layout, today: str, name: str | None) -> None:
    found = season_at(layout, seasons_of(layout), today, trained=())
    assert (found and found.name) == name


def test_a_model_that_could_not_be_served_has_no_season(layout: Layout) -> None:
    (layout.artefacts / "sales" / "snapshots" / "1.7" / "meta.json").unlink()
    found = season_at(layout, seasons_of(layout), "11-28", trained=())
    assert found is not None
    assert found.model == "winter"


def test_a_model_whose_training_is_not_through_has_no_season(layout: Layout) -> None:
    (layout.artefacts / "sales" / "training.msgpack").touch()
    found = [season_at(layout, seasons_of(layout), "11-28", trained=trained) for trained in ((), ("sales",))]
    assert [each and each.model for each in found] == ["winter", "sales"]
    assert "headrace train --model sales" in lacking(layout, "sales", trained=())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: a, from: 13-01, to: 01-01, model: m}", "'13-01'"),
        ("- {name: a, from: 12-01, to: 01-01, model: M/}", "'M/'"),
        ("- {name: a, from: 12-01, model: m}", "`to`"),
        ("- {name: a, from: 12-01, to: 12-02, model: m, year: 3}", "`year`"),
        ("a: {", "cannot be followed"),
    ],
)
def test_a_file_that_cannot_be_followed_is_told(layout: Layout, text: str, message: str) -> None:
    layout.seasons_file.write_text(text)
    with pytest.raises(UsageProblem, match=message):
        seasons_of(layout)


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert seasons_of(Layout(tmp_path)) == []
