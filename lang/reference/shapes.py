"""The reference of what shapes a group: relations after FROM, and what is made of its features at read."""

from lang.planner.resolve import FUNCTIONS
from lang.reference.entry import Entry

RELATIONS: dict[str, Entry] = {
    "pairs": Entry(
        sentence="Events of one user, in one session or across them, two by two: what follows what, or goes with what.",
        signature="FROM pairs(source, column, [WHERE condition,] WITHIN 'duration' [ACROSS SESSIONS] [EITHER ORDER])",
        arguments=(
            ("column", "STRING", "what is paired; gives the columns `column` and `next_column`"),
            ("condition", "BOOLEAN", "what both events must pass"),
            ("duration", "duration", "how far apart they may be; `weight` is exp(-gap / duration)"),
            ("ACROSS SESSIONS", "words", "the two may be of different sessions; state then grows with the duration"),
            ("EITHER ORDER", "words", "two events make a pair each way, a with b and b with a; twice the pairs"),
        ),
        example="SELECT decayed_sum(weight, half_life => '7 days') AS strength\n"
        "FROM pairs(clicks, item_id, WHERE event_type = 'click', WITHIN '30 minutes')\nGROUP BY item_id, next_item_id",
        means="the features over an event for each two events a, b with the same user_id and, unless ACROSS"
        " SESSIONS, session_id, with different"
        " columns and 0 < b - a <= duration; it has b's event time and the later received_at; with EITHER ORDER"
        " there is b with a as well, with the same gap and times",
        exact="exact: no order of arrival changes it",
    ),
    "sessions": Entry(
        sentence="The events, each marked with what it means to the visit that it belongs to.",
        signature="FROM sessions(source, 'duration')",
        arguments=(
            ("duration", "duration", "a visit ends after so long without an event"),
            ("session_begins", "BOOLEAN", "column: nothing of the user came within duration before it"),
            ("session_adds_s", "DOUBLE", "column: by how many seconds it makes the visit longer"),
        ),
        example="SELECT count(*) FILTER (WHERE session_begins) OVER 24h AS visits_24h,\n"
        "  sum(session_adds_s) OVER 24h AS stayed_s_24h\nFROM sessions(clicks, '30 minutes')\nGROUP BY user_id",
        means="the features over the events in the order of the log; an event that comes late begins and adds nothing",
        exact="exact for the order of the log; another order of arrival can mark other events",
    ),
}
HEADER: dict[str, str] = {
    "version": "a whole number; another meaning wants another one",
    "owner": "who is asked about the group",
    "entity": "the columns it is kept by, those of GROUP BY",
    "source": "the stream it reads, that of FROM",
    "on_missing": "`zero` or `null`: what its features are of an entity that nothing is known of",
    "description": "one line for people",
    "retain": "may stand: how long an entity is kept; by default the longest window and the source's lateness",
    "stale_after": "may stand: how old the newest event of an entity may be before its values are marked stale",
    "boost": "may stand: the feature by which rankings multiply an item's score",
    "max_entities": "may stand: how many entities it should have; watched, not enforced (docs/adr/0012)",
}
AT_READ: dict[str, Entry] = {
    "top_k": Entry(
        sentence="The second key columns with the largest value above zero, for one first key column.",
        signature="ROLLUP first AS name: top_k(second, k, by => feature)",
        arguments=(
            ("first, second", "STRING, BIGINT, INT", "the two entity columns of the group"),
            ("k", "whole number", "how many at most"),
            ("feature", "number", "a feature of the group; compared as float32, ties by name"),
        ),
        example="SELECT decayed_count(*, half_life => '2 days') AS affinity\nFROM clicks\n"
        "GROUP BY user_id, category\nROLLUP user_id AS top_categories: top_k(category, 10, by => affinity)",
        means="the members ordered by the feature's value at t; read as (member, value)",
        exact="as the feature it ranks by; all members are kept, so none is missed",
    ),
    "derive": Entry(
        sentence=f"A feature computed at read from features before it: operators, CASE, IN, BETWEEN, {FUNCTIONS}.",
        signature="DERIVE expression [EACH (window, …)] AS name",
        arguments=(
            ("expression", "number", "over features of the group; `{w}` in names stands for each window"),
            ("prior", "number, 'global'", "of smooth_ratio: what a ratio of nothing is; 'global': that over all keys"),
            ("strength", "number", "of smooth_ratio: how many observations the prior weighs"),
        ),
        example="SELECT count(*) FILTER (WHERE event_type = 'click') OVER 24h AS clicks_24h,\n"
        "  count(*) FILTER (WHERE event_type = 'impression') OVER 24h AS imps_24h\nFROM clicks\nGROUP BY item_id\n"
        "DERIVE smooth_ratio(clicks_24h, imps_24h, prior => 0.05, strength => 20) AS ctr_24h",
        means="the expression over the values read at t, with SQL's NULL; x / 0 and ln or sqrt outside their domain are"
        " NULL; smooth_ratio(a, b, …) is (a + prior · strength) / (b + strength); bucket(x, 1, 10) is how many of the"
        " bounds x has reached; hash_bucket(x, n) is the first 7 hexadecimal digits of MD5(x) modulo n, of a STRING or"
        " a whole number; cross(a, b, …) is several such values as one. All but 'global' are for columns of events too",
        exact="as the features it reads",
    ),
}
