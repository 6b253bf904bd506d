"""`model.toml`: the shipped one is what the program has without one, and every mistake is named with its key."""

from pathlib import Path

import pytest
from msgspec import UNSET, structs

from headrace.models.ranker.config import RankerConfig, load_ranker_config
from headrace.schemas.model.model_file import (
    ModelFile,
    ModelFileError,
    load_model_file,
    parse_model_file,
    write_model_file,
)
from headrace.schemas.model.ranker_inputs import SHIPPED, Column, Inputs, Reads
from tests.support.paths import REPOSITORY

FEATURES = REPOSITORY / "features"
OWN = Inputs(
    columns=(
        Column("reader_visits.reads_24h", "user", "log", 0.4),
        Column("article_reads.opened_24h", "item", "log", 0.3),
    ),
    missing=("reader_visits.reads_24h",),
    ranked=("article_reads.opened_24h",),
    reads=Reads(history="reader_visits.last_opened", similar=""),
)


def test_the_shipped_file_declares_what_the_program_has_without_one(tmp_path: Path) -> None:
    assert parse_model_file((FEATURES / "model.toml").read_text()) == ModelFile()
    assert load_model_file(tmp_path) == ModelFile()
    assert load_ranker_config(None, FEATURES) == RankerConfig()
    assert RankerConfig().schema() == "8e71dff26c4fdfaf"  # a file that declares the shipped inputs does not change it


@pytest.mark.parametrize("inputs", [SHIPPED, OWN])
def test_a_written_file_parses_to_the_same(inputs: Inputs) -> None:
    assert parse_model_file(write_model_file(inputs)) == ModelFile(inputs=inputs)


def test_a_declaration_changes_width_and_schema_and_travels_with_the_settings() -> None:
    config = RankerConfig(declared=OWN)
    assert config.shapes()["wide"][0] == 4
    assert config.schema() != RankerConfig().schema()
    assert RankerConfig.parse(config.settings()) == config
    assert RankerConfig.parse(RankerConfig().settings()).declared is UNSET


@pytest.mark.parametrize(
    "change", [{"columns": OWN.columns[::-1]}, {"missing": ()}, {"ranked": ()}, {"reads": Reads(similar="")}]
)
def test_every_change_is_another_feature_set(change: dict[str, object]) -> None:
    assert structs.replace(OWN, **change).feature_set != OWN.feature_set


def test_all_mistakes_are_named_at_once_with_their_keys() -> None:
    text = """missing = ["nobody.knows"]
    rank = []
    [user]
    "a.b" = {shape = "loq", scale = 0.4}
    "c.d" = {shape = "log", scale = nan}
    e = {shape = "log", scale = 1}
    "item.price" = {shape = "log", scale = 0.2}
    [item]
    "c.d" = {shape = "log", scale = 1, size = 2}
    [reads]
    histroy = "a.b"
    similar = 7
    """
    with pytest.raises(ModelFileError) as raised:
        parse_model_file(text)
    problems = str(raised.value).split("; ")
    for expected in (
        "rank is unknown",
        'user."a.b": Invalid enum value',
        'user."c.d".scale is nan',
        'user."e" is not the name of a feature',
        'user."item.price" is computed, and belongs under [item]',
        'item."c.d": Object contains unknown field `size`',
        "missing: 'nobody.knows' is no input",
        "reads.histroy is unknown",
        "reads.similar is 7",
    ):
        assert any(problem.startswith(expected) for problem in problems), (expected, problems)


NOTHING = [("", "there is no input"), ("user = 3", "user is 3"), ("[user", "not TOML")]


@pytest.mark.parametrize(("text", "says"), NOTHING)
def test_a_file_that_declares_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(ModelFileError, match=says):
        parse_model_file(text)
