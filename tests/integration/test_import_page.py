"""The commands of docs/import.md, in order, on the running line, with files that have the columns of the page."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from headrace.layout import FEATURES, REPOSITORY
from headrace.store.kafka.log import read_values
from tests.support.line import Line
from tests.support.pages import blocks, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
PAGE = REPOSITORY / "docs" / "import.md"
ARCHIVE = "/var/lib/headrace"  # of the page; the test's folder stands in for it
CLICKS, DAY_MS = 40, 86_400_000
GROUP = "user_engagement"


def write_files(folder: Path, tag: str, at_ms: int) -> None:
    """A catalogue in Parquet, and a folder with one file of clicks as CSV and one as Parquet."""
    catalogue = [{"sku": f"{tag}-i{number}", "department": f"d{number % 2}"} for number in range(4)]
    parquet.write_table(pa.Table.from_pylist(catalogue), folder / "catalogue.parquet")
    clicks = [
        {"customer": f"{tag}-u{number % 5}", "sku": f"{tag}-i{number % 4}", "ts": at_ms + number}
        for number in range(CLICKS)
    ]
    (folder / "clicks").mkdir()
    first, second = clicks[: CLICKS // 2], clicks[CLICKS // 2 :]
    lines = "".join(f"{row['customer']},{row['sku']},{row['ts']}\n" for row in first)
    (folder / "clicks" / "a.csv").write_text(f"customer,sku,ts\n{lines}")
    parquet.write_table(pa.Table.from_pylist(second), folder / "clicks" / "b.parquet")


def test_every_command_of_the_page_works(line: Line, tmp_path: Path) -> None:
    tag = f"page{line.now()}"
    write_files(tmp_path, tag, line.now() - DAY_MS)
    shutil.copytree(FEATURES, tmp_path / "features")
    imports, archive, replays, release, dead = (text.replace(ARCHIVE, str(tmp_path)) for _, text in blocks(PAGE))

    assert f"{CLICKS} rows written to events" in run(imports, tmp_path)
    with line.client() as api:
        values = {each.name: each.value for each in api.read_features(GROUP, f"{tag}-u1").features}
    assert values["clicks_ever"] == CLICKS / 5

    dwell = {"event_id": tag, "user_id": f"{tag}-u1", "item_id": f"{tag}-i1", "event_type": "dwell"}
    line.write_events([dwell | {"value": -1.0, "occurred_at": line.now()}])
    line.wait(lambda: "range" in run("headrace dead --by-reason", tmp_path), "the dead letter")

    assert "events: " in run(archive, tmp_path)
    replayed = run(replays, tmp_path)
    assert "0 records" in replayed.splitlines()  # of the hours that the page names
    assert "the archive begins at" in replayed
    copied = [value for value in read_values(line.endpoints.bootstrap, "events.again") if tag.encode() in value]
    assert len(copied) == CLICKS + 1

    file = tmp_path / "features" / f"{GROUP}.sql"
    file.write_text(file.read_text().replace("version 1", "version 2", 1))
    released = run(release, tmp_path)
    assert f"{GROUP} 1 → 2, rebuilt" in released
    assert f"{GROUP}@2 is live" in released
    assert f"{GROUP}@1 is live" in run(f"headrace features rollback {GROUP}", tmp_path)
    run(f"headrace features retire {GROUP}@2 && headrace features gc", tmp_path)

    redriven = run(dead, tmp_path)
    assert "range" in redriven
    assert " records sent again" in redriven
