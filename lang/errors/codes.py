"""The codes of the feature language's errors and warnings, each with an example and its fix."""

from typing import Literal

from msgspec import Struct


class Code(Struct, frozen=True, kw_only=True):
    """One code.

    Attributes:
        meaning: one line.
        verb: the command that reports it, `headrace features …`.
        wrong: for validate, a declaration with the error; for other verbs, an example of the message.
        right: for validate, the corrected declaration; for other verbs, what to do.
    """

    meaning: str
    verb: Literal["validate", "test", "plan", "promote"] = "validate"
    wrong: str
    right: str


def _select_by_user(measure: str) -> str:
    return f"SELECT {measure}\nFROM clicks\nGROUP BY user_id"


def _source(within: str) -> str:
    return f"""SOURCE clicks (
  topic 'events', event_time occurred_at, lateness '15 minutes', future '5 minutes', dedupe event_id WITHIN '{within}'
) COLUMNS (event_id STRING REQUIRED, occurred_at BIGINT REQUIRED, received_at BIGINT);"""


def _source_with_stamp(columns: str, declared: str) -> str:
    return f"""SOURCE clicks (
  topic 'events', event_time occurred_at, lateness '15 minutes', future '5 minutes', dedupe event_id WITHIN '1 day',
  stamp items ({columns}) ON item_id
) COLUMNS (event_id STRING REQUIRED, {declared}occurred_at BIGINT REQUIRED, received_at BIGINT);"""


CODES: dict[str, Code] = {
    "F100": Code(
        meaning="syntax error, or a word that is not allowed there",
        wrong=_select_by_user("count(*) OVER 1h clicks_1h"),
        right=_select_by_user("count(*) OVER 1h AS clicks_1h"),
    ),
    "F101": Code(
        meaning="unknown column, feature, source, group or function",
        wrong=_select_by_user("sum(valeu) OVER 1h AS value_1h"),
        right=_select_by_user("sum(value) OVER 1h AS value_1h"),
    ),
    "F104": Code(
        meaning="cannot be kept in tiles or rows",
        wrong=_select_by_user("median(value) OVER 24h AS value_median_24h"),
        right=_select_by_user("percentile(value, 0.5) OVER 24h AS value_median_24h"),
    ),
    "F106": Code(
        meaning="a clock or random function makes replay differ from live",
        wrong=_select_by_user("count(*) FILTER (WHERE occurred_at > now()) OVER 1h AS fresh_1h"),
        right=_select_by_user("count(*) OVER 1h AS fresh_1h"),
    ),
    "F108": Code(
        meaning="no tile size fits the window, or `retain` is shorter than the windows need",
        wrong=_select_by_user("count(*) OVER 10s AS clicks_10s"),
        right=_select_by_user("count(*) OVER 1m AS clicks_1m"),
    ),
    "F110": Code(
        meaning="warning: the source accepts events far later than they arrive, and most tiles are kept only for that",
        verb="plan",
        wrong="F110 source clickstream: lateness 6h, and 99.9 % of the newest 20000 events came within 61s;"
        " 64 % of a busy key's tiles are kept for lateness alone\n"
        "  fix: lateness 11m, which costs 5 %, when you next declare the stream: a running one keeps its declaration",
        right="use the suggested lateness on a new stack or under another name, or keep it if events can be that late",
    ),
    "F112": Code(
        meaning="warning: the window is longer than the topic's retention",
        wrong=_select_by_user("count(*) OVER 30d AS clicks_30d"),
        right=_select_by_user("count(*) OVER 7d AS clicks_7d"),
    ),
    "F113": Code(
        meaning="a duplicate could arrive after dedupe has forgotten the original",
        wrong=_source("10 minutes"),
        right=_source("1 day"),
    ),
    "F115": Code(
        meaning="the meaning of a group changed but its version did not, or the version was used before",
        verb="plan",
        wrong="F115 item_next@2: the meaning of strength, next_items changed, the version did not\n  fix: version 3",
        right="write `version 3` in the group's header",
    ),
    "F116": Code(
        meaning="the name is already used",
        wrong=_select_by_user("count(*) OVER EACH (1h, 24h) AS clicks"),
        right=_select_by_user("count(*) OVER EACH (1h, 24h) AS clicks_{w}"),
    ),
    "F117": Code(
        meaning="the version lacks a feature that serving or the ranker reads",
        verb="plan",
        wrong="F117 item_next@3 has no item_next.next_items, and serving reads it\n"
        "  fix: keep it, or declare a model without it: model.toml",
        right="keep the feature, or train a ranker without it",
    ),
    "F118": Code(
        meaning="a stamp needs a value that is not available yet, or sources are stamped in a circle",
        wrong=_source_with_stamp("item_id STRING, category STRING", ""),
        right=_source_with_stamp("category STRING", "item_id STRING, "),
    ),
    "F120": Code(
        meaning="the new versions need more memory than Redis has free below `maxmemory`",
        verb="plan",
        wrong="F120 the new versions need about 23920.0 MB of Redis, but only 8000.0 MB of maxmemory is free\n"
        "  item_engagement@2: 5200000 keys of 4600 bytes; 59 % less without imps_24h, clicks_24h, dwell_avg_24h,"
        " dwell_min_24h, dwell_max_24h; 30 % less without imps_1h, clicks_1h\n"
        "  fix: remove the features listed above, retire a version that is not live, or raise maxmemory",
        right="remove one of the cuts listed, retire a version that is not live, or raise `maxmemory`",
    ),
    "F122": Code(
        meaning="the live version already has as many entities as the new version's `max_entities` allows",
        verb="plan",
        wrong="F122 item_engagement@2 may have 5000000 entities, but item_engagement@1 has 5200000\n"
        "  fix: raise max_entities, or group by a key with fewer values",
        right="write `max_entities 10_000_000` in the group's header, or group by a key with fewer values",
    ),
    "F130": Code(
        meaning="the feature reads the events that its own label is made of",
        wrong="SELECT count(*) OVER 1h AS clicks_1h\nFROM clicks\nGROUP BY request_id",
        right=_select_by_user("count(*) OVER 1h AS clicks_1h"),
    ),
    "F140": Code(
        meaning="wrong type or value",
        wrong=_select_by_user("sum(event_type) OVER 1h AS value_1h"),
        right=_select_by_user("sum(value) OVER 1h AS value_1h"),
    ),
    "F150": Code(
        meaning="a test failed; the message has the value read, the path that read it, and the events behind it",
        verb="test",
        wrong="F150 two clicks: clicks_24h of u1 at 10:05:00 is 2.0 by tiles, expected 3; events: e1, e2",
        right="correct the feature or the expectation; if the oracle agrees and another path does not, report a bug",
    ),
    "F160": Code(
        meaning="a version returns other values than the live one, although both declare the same meaning",
        verb="promote",
        wrong="F160 item_engagement@2 does not have the values of item_engagement@1\n"
        "keys: 9 alike, 1 unlike, 0 missing, 0 extra, 0 moving\n  clicks_1h: 1 differ\n"
        "  i1 clicks_1h: 3.0 in the first, 2.0 in the second\n"
        "  fix: headrace features backfill item_engagement@2, or rename the features whose meaning changed",
        right="run `headrace features backfill item_engagement@2`, then promote again",
    ),
}
