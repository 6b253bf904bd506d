"""`[heads.NAME]` in a `model.toml`: what a project declares, and every mistake with its key."""

from pathlib import Path

import pytest
from msgspec import UNSET, structs

from headrace.models.ranker.config import RankerConfig, load_ranker_config
from headrace.schemas.model.heads import SCORE, SHIPPED_HEADS, Head, Heads
from headrace.schemas.model.model_file import MODEL_FILE, ModelFileError, parse_model_file
from headrace.schemas.model.ranker_inputs import SHIPPED
from tests.support.heads import DECLARED

TEXT = """
[heads.opened]
events = ["opened", "read"]
negatives = ["skip"]
event_weight = 2.0
blend = 0.5

[heads.stay]
events = ["watch"]
kind = "seconds"
loss_weight = 0.2

[heads.liked]
events = ["rating"]
negatives = ["dislike"]
at_least = 4
blend = 0.5
urgent_from = 1

[heads.hidden]
events = ["hide"]
blend = -0.3
"""
SAME_AS_SHIPPED = """
[heads.click]
events = ["click"]
event_weight = 3.0
blend = 0.7
[heads.converted]
events = ["purchase"]
event_weight = 10.0
blend = 0.2
urgent_from = 1.0
[heads.engagement]
events = ["dwell"]
kind = "seconds"
loss_weight = 0.2
blend = 0.1
urgent_from = 60.0
"""


def test_heads_are_declared_in_order_and_the_first_logistic_one_is_the_score() -> None:
    heads = parse_model_file(TEXT).heads
    assert heads == DECLARED
    assert heads.names == ("opened", "liked", "hidden", "stay"), "the axis H has the logistic ones first"
    assert heads.bits == {"opened": 1, "stay": 2, "liked": 4, "hidden": 8}, "in the order of declaration"
    assert (heads.score.name, heads.names[SCORE]) == ("opened", "opened")
    seconds_first = Heads((heads.table[1], heads.table[2]))
    assert seconds_first.score.name == "liked"


def test_a_file_with_only_heads_has_the_shipped_inputs() -> None:
    assert parse_model_file(TEXT).inputs == SHIPPED
    with pytest.raises(ModelFileError, match="there is no input"):
        parse_model_file("missing = []\n" + TEXT)


def test_the_shipped_heads_spelled_out_are_no_declaration(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_text(SAME_AS_SHIPPED)
    assert load_ranker_config(None, tmp_path) == RankerConfig()


def test_heads_are_a_part_of_the_model_and_travel_with_its_settings(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_text(TEXT)
    config = load_ranker_config(None, tmp_path)
    assert config.heads == DECLARED
    assert config.head_weights == (1.0, 1.0, 1.0, 0.2)
    assert config.width == 4 + config.dim
    assert config.shapes()["head_bias"] == (4,)
    assert RankerConfig.parse(config.settings()) == config
    assert config.schema() != RankerConfig().schema()
    assert RankerConfig.parse(RankerConfig().settings()).declared_heads is UNSET
    assert "declared_heads" not in RankerConfig().settings()
    with pytest.raises(ValueError, match="head_weights has 3 numbers"):
        RankerConfig(declared_heads=DECLARED)


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        ({"name": "seen"}, True),
        ({"kind": "seconds", "event_weight": 1.0}, True),
        ({"event_weight": 4.0}, True),
        ({"blend": 1.0}, False),
        ({"negatives": ()}, False),
    ],
)
def test_what_changes_the_meaning_of_a_number_changes_the_schema(change: dict[str, object], is_another: bool) -> None:
    first, *others = DECLARED.table
    changed = Heads((structs.replace(first, **change), *others))
    schemas = [RankerConfig().with_heads(heads).schema() for heads in (DECLARED, changed)]
    assert (schemas[0] != schemas[1]) == is_another


def test_what_an_event_says() -> None:
    by_name = {head.name: head for head in DECLARED.table}
    liked, stay = by_name["liked"], by_name["stay"]
    assert [liked.label("rating", value) for value in (5.0, 4.0, 3.9, None, float("nan"))] == [1, 1, 0, None, None]
    assert [stay.label("watch", value) for value in (12.5, 0.0, -1.0, None, float("inf"))] == [12.5, *[None] * 4]
    assert [head.name for head in DECLARED.feedback["skip"]] == ["opened"]
    assert [head.name for head in DECLARED.feedback["hide"]] == ["hidden"]
    shared = Heads((structs.replace(liked, negatives=("hide",)), by_name["hidden"]))
    assert [head.name for head in shared.feedback["hide"]] == ["liked", "hidden"]
    assert [head.label("hide", None) for head in shared.feedback["hide"]] == [0.0, 1.0]


MISTAKES = """
[heads.Opened]
events = ["opened"]
[heads.blend]
events = ["mix"]
[heads.a]
events = []
[heads.b]
events = ["x", ""]
negatives = ["x", "_bot"]
[heads.c]
event = ["y"]
events = ["y"]
kind = "linear"
[heads.d]
events = ["z"]
kind = "seconds"
event_weight = 2.0
at_least = 3.0
loss_weight = 0
blend = nan
urgent_from = 0
"""


def test_all_mistakes_are_named_at_once_with_their_keys() -> None:
    with pytest.raises(ModelFileError) as raised:
        parse_model_file("nonsense = 1\n[heads]\ne = 3\n" + MISTAKES)
    problems = str(raised.value)
    for expected in (
        "nonsense is unknown",
        "heads.e is 3, must be a table: [heads.e]",
        "heads.Opened: a head's name has at most 40 lower-case letters",
        "heads.blend: a head's name has at most 40",
        "heads.a.events is empty",
        "heads.b.events: '' is not an event type",
        "heads.b.negatives: '_bot' is not an event type",
        "heads.b.events and negatives name 'x' twice",
        "heads.c.event is unknown; events is known",
        "heads.c: Invalid enum value 'linear'",
        "heads.d.event_weight is 2, must be 1",
        "heads.d.at_least is 3, must be a finite number, and only a logistic head",
        "heads.d.loss_weight is 0",
        "heads.d.blend is nan",
        "heads.d.urgent_from is 0",
    ):
        assert expected in problems, (expected, problems)


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        ("[heads]", "heads has no head"),
        ("heads = 3", "heads is 3, must be a table"),
        ('[heads.a]\nevents = ["x"]\nblend = 1\n[heads.b]\nevents = ["x"]', "heads.a and heads.b both have 'x'"),
        ('[heads.a]\nevents = ["x"]\nkind = "seconds"\nblend = 1', "heads has no logistic head"),
        ('[heads.a]\nevents = ["x"]', "blend is 0 in all of them"),
        ("\n".join(f'[heads.h{n}]\nevents = ["e{n}"]\nblend = 1' for n in range(17)), "17 heads, at most 16"),
    ],
)
def test_heads_that_do_not_fit_together_are_refused(heads: str, says: str) -> None:
    with pytest.raises(ModelFileError, match=says):
        parse_model_file(heads)


def test_the_shipped_heads_stay_as_they_were() -> None:
    assert SHIPPED_HEADS.names == ("click", "converted", "engagement")
    assert SHIPPED_HEADS.loss_weights == (1.0, 1.0, 0.2)
    assert SHIPPED_HEADS.event_weights == {"click": 3.0, "converted": 10.0, "engagement": 1.0}
    assert {event_type: [head.name for head in heads] for event_type, heads in SHIPPED_HEADS.feedback.items()} == {
        "click": ["click"],
        "purchase": ["converted"],
        "dwell": ["engagement"],
    }
    assert Head(name="a", events=("b",)).urgent_from is None
