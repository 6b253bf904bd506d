"""One recorded day of Wikipedia edits; the expected results are those that Apache Druid published."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.lang.expressions.per_event import Event
from tests.support.paths import REPOSITORY

ROOT = REPOSITORY
DAY = "2015-09-12"
HOUR_MS = 3_600_000
MIDNIGHT_MS = round(datetime(2015, 9, 12, tzinfo=UTC).timestamp() * 1_000)
DELETED_PER_HOUR = [
    1761, 16208, 14543, 13101, 12040, 6399, 9036, 11409, 11616, 17509, 19406, 16284,
    18672, 30520, 18025, 26399, 24759, 19634, 17345, 19305, 22265, 16394, 16379, 15289,
]  # fmt: skip
TOP_PAGES = [33, 28, 27, 21, 20, 18, 18, 18, 17, 17]
ADDED = {
    "#en.wikipedia": 3045299,
    "#it.wikipedia": 711011,
    "#fr.wikipedia": 642555,
    "#ru.wikipedia": 640698,
    "#es.wikipedia": 634670,
}


def read_edits(*, dates_set_back: bool) -> list[Event]:
    """The edits by time; the 45 altered dates set back to the day, or left in `occurred_at`."""
    path = Path(os.environ.get("HEADRACE_DATA", ROOT / "../shared/data")) / "wikipedia-edits"
    if not path.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing; set HEADRACE_DATA")
        pytest.skip(f"{path} is missing; set HEADRACE_DATA to the folder of recorded data")
    with gzip.open(path / "wikiticker-2015-09-12.json.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    edits = [edit_of(number, row, dates_set_back=dates_set_back) for number, row in enumerate(rows)]
    return sorted(edits, key=lambda edit: edit["occurred_at"])


def edit_of(number: int, row: dict[str, str], *, dates_set_back: bool) -> Event:
    on_the_day = milliseconds(DAY + row["time"][10:])
    occurred_at = on_the_day if dates_set_back else milliseconds(row["time"])
    return {
        "event_id": f"edit{number}",
        "occurred_at": occurred_at,
        "received_at": occurred_at,
        "on_the_day": on_the_day,
        "feed": "wikipedia",
        "editor": row["user"],
        **{name: row[name] for name in ("channel", "page", "added", "deleted")},
    }


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)
