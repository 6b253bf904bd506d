"""A stream from which others are stamped is ingested, whether a group reads it or not."""

from headrace.lang.planner.load import parse_plan
from headrace.log.feature_versions import stream_topics_of
from headrace.stack.jobs import wanted_jobs
from headrace.store.versions import Version, Versions
from tests.support.paths import REPOSITORY

COLUMNS = "id STRING REQUIRED, at_ms BIGINT REQUIRED, received_at BIGINT, user_id STRING REQUIRED"
HEADER = "event_time at_ms, lateness '1 day', future '5 minutes', dedupe id WITHIN '2 days'"
FEATURES = REPOSITORY / "features"
DAY_MS = 86_400_000


def test_one_new_file_and_a_stamp_are_enough() -> None:
    clicks = (FEATURES / "sources" / "clickstream.sql").read_text(encoding="utf-8")
    plan = parse_plan(
        {
            "clickstream.sql": clicks.replace(") COLUMNS", ", stamp users (plan STRING) ON user_id) COLUMNS", 1),
            "item_heat.sql": (FEATURES / "item_heat.sql").read_text(encoding="utf-8"),
            "users.sql": f"SOURCE users (topic 'users', {HEADER}, retain '400 days') COLUMNS ({COLUMNS}, plan STRING)",
        }
    )
    versions = Versions(applied={group.title: Version(group=group, job="features") for group in plan.groups})
    assert list(versions.sources()) == ["users", "clickstream"]
    assert wanted_jobs(versions) == ("ingest-users", "ingest", "features", "samples")
    topics = {topic.name: topic.retention_ms for topic in stream_topics_of(plan.groups)}
    assert topics == {"users": 7 * DAY_MS, "users.clean": 400 * DAY_MS}
