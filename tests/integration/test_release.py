"""A new version of a group on the running line: applied, filled from the log, promoted, rolled back, retired."""

import shutil
import threading
from pathlib import Path

import pytest

from headrace.client import ApiError
from headrace.errors import UsageProblem
from headrace.features import release
from headrace.features.point_in_time import store_as_of
from headrace.lang.events.gate import Gate
from headrace.lang.planner.load import load_plan
from headrace.lang.testfiles.runner import values_agree
from headrace.layout import FEATURES
from headrace.log.feature_versions import Registry, remove_data
from headrace.serving.http import lookup
from headrace.stack.flink_rest import FlinkRest
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line
from tests.support.random_events import random_events

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
GROUP = "item_engagement"


def edited(folder: Path) -> Path:
    """The shipped features, one group with a version and a feature more."""
    shutil.copytree(FEATURES, folder)
    file = folder / f"{GROUP}.sql"
    text = file.read_text().replace("version 1", "version 2", 1)
    more = "count(DISTINCT user_id) FILTER (WHERE event_type = 'click') OVER 24h AS clickers_24h,\n  avg(value)"
    file.write_text(text.replace("avg(value)", more, 1))
    return folder


class Reads:
    """Reads one item again and again; notes every answer whose features are not those of its version."""

    def __init__(self, line: Line, item: str, names: dict[int, set[str]]) -> None:
        self._client = line.client()
        self._item, self._names = item, names
        self.version, self.count, self.wrong = 0, 0, list[object]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Reads":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            self.count += 1
            try:
                answer = self._client.read_features(GROUP, self._item)
            except ApiError as error:
                self.wrong.append(error)
                continue
            if {each.name for each in answer.features} != self._names[answer.version]:
                self.wrong.append(answer)
            else:
                self.version = answer.version


def test_a_version_comes_to_answer_and_goes_back(line: Line, tmp_path: Path) -> None:
    now = line.now()
    tag = f"release{now}"
    events = random_events(600, seed=4, tag=tag, start_ms=now - 300_000, span_ms=300_000)
    line.write_events(events)
    registry, rest = Registry(line.endpoints, who="tests"), FlinkRest(line.endpoints.flink_url)
    plan = load_plan(edited(tmp_path / "features"))
    before, wanted = line.plan.group(GROUP), plan.group(GROUP)
    gate = Gate(plan.source("clickstream"))
    unknown = {"category": None, "price": None, "seller": None}  # items that no catalogue has
    accepted = [event | unknown for event in events if gate.judge(event) == "accepted"]
    keys = [(f"{tag}-i{n}",) for n in range(20)]
    live = by_the_oracle(before, accepted, keys, at_ms=now)
    line.wait(lambda: not mismatches(live, line.reader), "values of the version that answers")

    found = release.plan_release(plan, registry.versions())
    assert [str(change) for change in found.changes if change.group == GROUP] == [
        f"{GROUP} 1 → 2, additive: + clickers_24h"
    ]
    (version,) = release.apply_release(registry, rest, found, why="test")
    with pytest.raises(UsageProblem, match="F160"):  # it knows nothing yet
        release.promote_version(registry, line.redis, version, why="too early")
    version = release.backfill_version(registry, rest, line.endpoints, version, since="all")

    expected = by_the_oracle(wanted, accepted, keys, at_ms=now)
    assert not mismatches(expected, line.reader)  # the backfill waits for the loader too

    halfway = int(str(accepted[300]["received_at"]))
    for key in keys[:5]:
        (then,) = by_the_oracle(wanted, accepted, [key], at_ms=halfway).values.values()
        answer = lookup.answer(store_as_of(line.endpoints, wanted, key[0], at_ms=halfway), wanted, key, at=halfway)
        assert all(values_agree(then[each.name], each.value, ratio=1e-9) for each in answer.features), (then, answer)

    names = {group.version: {feature.name for feature in group.features} for group in (before, wanted)}
    with Reads(line, keys[1][0], names) as reads:
        line.wait(lambda: reads.version == 1, "reads of version 1")
        release.promote_version(registry, line.redis, version, why="test")
        line.wait(lambda: reads.version == 2, "reads of version 2", deadline_s=5)
        registry.rollback(GROUP, why="test")
        line.wait(lambda: reads.version == 1, "reads of version 1 again", deadline_s=5)
    assert reads.wrong == []
    release.retire_version(registry, version)
    line.wait(lambda: version.job not in rest.jobs(), "the end of the candidate's job")
    topics, removed = remove_data(line.layout, line.endpoints, version)
    assert (topics, removed > 0) == (2, True)
    with pytest.raises(UsageProblem, match="F115"):  # its number has been used
        release.plan_release(plan, registry.versions())
    assert not list(line.redis.scan_iter(match=f"*:{version.name}*", count=1000))
