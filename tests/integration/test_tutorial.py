"""The commands of docs/first-feature.md, in order, on the running line."""

import re
from pathlib import Path

import pytest

from headrace.client import ItemRecord, RecommendationRequest
from headrace.layout import FEATURES, REPOSITORY
from tests.support.line import Line
from tests.support.pages import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(500)]
BLOCKS = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "docs" / "first-feature.md").read_text(), re.DOTALL)


def test_every_command_of_the_tutorial_works(line: Line, tmp_path: Path) -> None:
    (tmp_path / "features").symlink_to(FEATURES)
    now = line.now()
    item, asked = f"rushed{now}", RecommendationRequest(user_id=f"tutorial{now}", count=100, explain="basic")
    with line.client() as api:
        api.upsert_items(ItemRecord(item_id=name, category="c") for name in (item, f"calm{now}"))
        click = {"event_id": f"tutorial-{now}", "user_id": "u1", "event_type": "click", "occurred_at": now}
        line.write_events([click | {"item_id": item}])

        def lifted() -> set[str]:
            return {each.id for each in api.recommend(asked).items if "lifted" in each.reason}

        said = ""
        for block in BLOCKS:
            said += run(block, tmp_path)
            if "promote item_rush@2" in block:
                line.wait(lambda: item in lifted(), "the boost in a ranking")
                assert f"calm{now}" not in lifted()
        line.wait(lambda: item not in lifted(), "the end of the boost")
    for wanted in (
        "item_rush none → 1, new: + clicks_10m, + clicks_24h, + clickers_24h, + rush",
        "  redis: not known yet\n  flink: not known yet\n  touches: nothing that serving reads\n",
        "item_rush 1 → 1, cosmetic",
        "item_rush@1 has its new description",
        "  touches: boost (lift)\n",
        "item_rush@1 is live; it replaces version 0",
        "item_rush 1 → 2, additive: + lift",
        "item_rush@2 is live; it replaces version 1",
        "item_rush@1 is live; it replaces version 2",
        "item_rush@2: 2 topics",
    ):
        assert wanted in said, said
    known = r"  redis: about \d+\.\d MB, \d+ keys of \d+ bytes\n  flink: about \d+\.\d MB in a checkpoint\n"
    assert re.search(known, said), said
    assert re.search(r"item_rush +1 +yes .* \d+ of 2000000", said), said
