"""A project of another world: support articles, whose stream has its own names for readers, articles and slates."""

from pathlib import Path

OPENED, SOLVED = "opened", "solved"
"""The event types that heads of the ranker learn."""
ENTITY = {"article_reads": "article_id", "reader_visits": "reader_id", "reader_topics": "reader_id, category"}
_GROUP = """FEATURE GROUP {name} (
  version 1, owner 'desk', entity {entity}, source desk, on_missing zero, description 'Of support articles'
);
SELECT
  {select}
FROM desk
GROUP BY {entity};
"""
_SELECT = {
    "article_reads": f"""count(*) FILTER (WHERE kind = '{OPENED}') OVER 24h AS opened_24h,
  count(*) FILTER (WHERE kind = '{SOLVED}') OVER 24h AS solved_24h,
  decayed_sum(1, half_life => '1 day') FILTER (WHERE kind = '{OPENED}') AS heat""",
    "reader_visits": f"""count(*) FILTER (WHERE kind = '{OPENED}') OVER 24h AS opened_24h,
  last_n(article_id, 20) FILTER (WHERE kind = '{OPENED}') OVER 7d AS opened""",
    "reader_topics": f"count(*) FILTER (WHERE kind IN ('{OPENED}', '{SOLVED}')) OVER 7d AS times_7d",
}
SOURCE = """SOURCE desk (
  topic 'events', event_time at, lateness '15 minutes', future '5 minutes', dedupe id WITHIN '1 day',
  user reader_id, item article_id, event_type kind, session visit_id, request slate_id, position slot, value seconds,
  stamp items (category STRING) ON article_id
) COLUMNS (
  id STRING REQUIRED, reader_id STRING REQUIRED, article_id STRING REQUIRED, kind STRING REQUIRED,
  at BIGINT REQUIRED, received_at BIGINT, visit_id STRING, slate_id STRING, slot INT, seconds DOUBLE,
  stars INT REQUIRED CHECK (stars BETWEEN 1 AND 5)
);
"""
MODEL = """ranked = ["article_reads.opened_24h"]
[user]
"reader_visits.opened_24h" = {shape = "log", scale = 0.4}
[item]
"article_reads.opened_24h" = {shape = "log", scale = 0.3}
"article_reads.solved_24h" = {shape = "log", scale = 0.3}
"item.age_s" = {shape = "log", scale = 0.08}
[cross]
"reader_topics.times_7d" = {shape = "log", scale = 0.5}
"history.contains" = {shape = "plain", scale = 1.0}
[heads.opened]
events = ["opened"]
event_weight = 3.0
blend = 0.7
[heads.solved]
events = ["solved"]
event_weight = 10.0
blend = 0.3
[reads]
history = "reader_visits.opened"
heat = "article_reads.heat"
lasting = "article_reads.opened_24h"
top_categories = ""
seen = ""
clicks = ""
click_rate = ""
next = ""
together = ""
similar = ""
country = ""
daypart = ""
"""
_TESTS = f"""- name: what readers opened and solved counts for the article
  given:
    desk: |
      id, at, received_at, reader_id, article_id, kind, stars
      e1, 10:00:00, 10:00:01, r1, a1, {OPENED}, 5
      e2, 10:01:00, 10:01:01, r2, a1, {OPENED}, 4
      e3, 10:02:00, 10:02:01, r2, a1, {SOLVED}, 4
  expect:
    - {{at: "10:05:00", key: a1, opened_24h: 2, solved_24h: 1}}
"""
FILES = {
    "headrace.toml": "",
    "features/sources/desk.sql": SOURCE,
    **{
        f"features/{name}.sql": _GROUP.format(name=name, entity=ENTITY[name], select=select)
        for name, select in _SELECT.items()
    },
    "features/article_reads.test.yaml": _TESTS,
    "features/model.toml": MODEL,
}


def write(folder: Path) -> Path:
    """Write the project into a folder, and return it."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def event(number: int, at_ms: int, reader: str, article: str, **more: object) -> dict[str, object]:
    """An event that a reader opened an article, as a client of such a project sends it."""
    columns = {"id": f"e{number}", "at": at_ms, "reader_id": reader, "article_id": article, "kind": OPENED, "stars": 4}
    return columns | more
