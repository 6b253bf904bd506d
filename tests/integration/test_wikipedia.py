"""Published answers come out of the whole feature path, with the day shuffled and replayed twice."""

import contextlib
import random

import msgspec
import pytest

from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.log import topics as kafka_topics
from headrace.log.clean_log import CleanLog
from headrace.log.feature_versions import feature_topics
from headrace.schemas.topics import EVENTS, EVENTS_CLEAN
from headrace.store.loader import Loader
from headrace.store.redis.reader import FeatureRequest
from tests.support.line import Line
from tests.support.paths import TESTS
from tests.support.wikipedia_edits import ADDED, DELETED_PER_HOUR, HOUR_MS, MIDNIGHT_MS, TOP_PAGES, read_edits

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
FIXTURES = TESTS / "lang" / "fixtures" / "wikipedia"
END_OF_DAY_MS = MIDNIGHT_MS + 24 * HOUR_MS - 1


def create_topics(line: Line, plan: Plan) -> None:
    edits = msgspec.structs.replace(EVENTS, name="edits")
    clean = msgspec.structs.replace(EVENTS_CLEAN, name="edits.clean")
    kafka_topics.create_topics(line.endpoints.bootstrap, (edits, clean, *feature_topics(plan.groups)))


def answers(line: Line, plan: Plan) -> tuple[list[float], list[float], dict[str, float]]:
    """Deleted per hour, edits of the ten most edited pages, added per channel; as the store tells."""

    def read(group: str, owners: list[str], feature: str, at_ms: int) -> list[float]:
        found = line.reader.read([FeatureRequest(plan.group(group), owners)], at_ms=at_ms)[0]
        return found.merged.numbers[feature].tolist()

    ends = [MIDNIGHT_MS + (hour + 1) * HOUR_MS - 1 for hour in range(24)]
    deleted = [read("feed_edits", ["wikipedia"], "deleted_1h", end)[0] for end in ends]
    pages = sorted({str(edit["page"]) for edit in read_edits(dates_set_back=True)})
    counts = sorted(read("page_edits", pages, "edits_24h", END_OF_DAY_MS), reverse=True)
    added = dict(zip(ADDED, read("channel_edits", list(ADDED), "added_24h", END_OF_DAY_MS), strict=True))
    return deleted, counts[:10], added


def test_published_answers_shuffled_and_replayed_twice(line: Line) -> None:
    plan = load_plan(FIXTURES)
    create_topics(line, plan)
    with contextlib.ExitStack() as jobs:
        for job in ("ingest", "features"):
            jobs.enter_context(line.job(job, features=FIXTURES, source="edits", name=f"{job}-edits"))
        columns = [column.name for column in plan.source("edits").columns]
        edits = [{name: edit[name] for name in columns} for edit in read_edits(dates_set_back=True)]
        for seed in (1, 2):
            random.Random(seed).shuffle(edits)
            line.write("edits", ((str(edit["event_id"]), msgspec.json.encode(edit)) for edit in edits))
        loader = Loader(bootstrap=line.endpoints.bootstrap, client=line.redis, group="loader-edits")
        loader.follow(plan.groups)

        def loaded() -> bool:
            while loader.load_batch(timeout_s=1.0):
                pass
            return answers(line, plan) == (DELETED_PER_HOUR, TOP_PAGES, ADDED)

        line.wait(loaded, "the published answers", deadline_s=240)
        assert answers(line, plan) == (DELETED_PER_HOUR, TOP_PAGES, ADDED)

        written = {str(edit["editor"]) for edit in edits}
        masked = {str(event["editor"]) for event in CleanLog(line.endpoints, plan.source("edits")).events(1)}
        assert len(masked) == len(written)
        assert not masked & written
