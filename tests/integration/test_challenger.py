"""A challenger on the running line: trained, followed, scored in live's shadow, promoted."""

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.client import ItemRecord, RecommendationRequest
from headrace.log import model_versions
from headrace.registry import aliases, promotion
from headrace.schemas.shadows import Shadow, shadow_of
from headrace.schemas.topics import SHADOWS
from headrace.schemas.versions.aliases import CHALLENGER
from headrace.simulator.sample_stream import stream
from headrace.store.kafka.log import read_values
from tests.support.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.long]
_SLOTS, _ASKED, _ITEMS = 3_000, 20, 40
_AHEAD_MS = 600_000


def train(model: str, *, begin_ms: int) -> None:
    command = [str(Path(sys.executable).with_name("headrace")), "train", "--model", model]
    times = ["--from", str(begin_ms), "--to", str(begin_ms + _AHEAD_MS)]
    subprocess.run([*command, *times], check=True, timeout=120)


def shadows(line: Line) -> list[Shadow]:
    return [each for each in map(shadow_of, read_values(line.endpoints.bootstrap, SHADOWS.name)) if each is not None]


def ask_for_slates(line: Line, begin_ms: int) -> None:
    with line.client() as api:
        before = api.check_ready().items
        api.upsert_items(ItemRecord(item_id=f"c{begin_ms}-{n}", category=f"c{n % 5}") for n in range(_ITEMS))
        line.wait(lambda: api.check_ready().items == before + _ITEMS, "the items")
        for user in range(_ASKED):
            api.recommend(RecommendationRequest(user_id=f"u{user}", count=10))


def test_trained_scored_in_the_shadow_and_promoted(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    begin_ms = line.now()
    model = f"again-{begin_ms}"
    rows = stream(_SLOTS, seed=6, begin_ms=begin_ms)
    line.write("samples", ((row.request_id, row.payload()) for row in rows))
    line.wait(lambda: "live" in {each.alias for each in aliases.fetch_models(line.endpoints).aliases}, "a live version")
    train(model, begin_ms=begin_ms)
    promotion.challenge(model, why="a test")
    ask_for_slates(line, begin_ms)
    line.wait(lambda: sum(each.model == model for each in shadows(line)) == _ASKED, "the shadows")
    assert {len(each.click) for each in shadows(line) if each.model == model} == {10}
    aliases.list_aliases()
    assert f"{model}: " in capsys.readouterr().out
    epoch = model_versions.read_model_versions(line.endpoints).next_epoch
    promotion.promote(model, why="a test", anyway=True)
    line.wait(
        lambda: f"{epoch}.1" in {each.version for each in aliases.fetch_models(line.endpoints).history}, "the epoch"
    )
    promotion.challenge(why="a test")
    line.wait(lambda: CHALLENGER not in {each.alias for each in aliases.fetch_models(line.endpoints).aliases}, "none")
