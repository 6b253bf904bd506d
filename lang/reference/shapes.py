"""Reference entries of relations after FROM, header words, and features computed at read."""

from headrace.lang.planner.resolve import FUNCTIONS
from headrace.lang.reference.entry import Entry

RELATIONS: dict[str, Entry] = {
    "pairs": Entry(
        sentence="Pairs of events of one user, within a session or across sessions: which items follow each other.",
        signature="FROM pairs(source, column, [WHERE condition,] WITHIN 'duration' [ACROSS SESSIONS] [EITHER ORDER])",
        arguments=(
            ("column", "STRING", "the column to pair; gives the columns `column` and `next_column`"),
            ("condition", "BOOLEAN", "a condition that both events must pass"),
            ("duration", "duration", "the maximum gap; `weight` is exp(-gap / duration)"),
            ("ACROSS SESSIONS", "words", "pairs may span sessions; state then grows with the duration"),
            ("EITHER ORDER", "words", "two events make two pairs, (a, b) and (b, a); twice as many pairs"),
        ),
        example="SELECT decayed_sum(weight, half_life => '7 days') AS strength\n"
        "FROM pairs(clicks, item_id, WHERE event_type = 'click', WITHIN '30 minutes')\nGROUP BY item_id, next_item_id",
        means="the features over pairs: one for any two events a, b of the same user and (unless ACROSS"
        " SESSIONS) session, different values of the column, and 0 < b - a <= duration; a pair has b's event time"
        " and the later received_at; EITHER ORDER adds the pair (b, a) with the same gap and times",
        exact="exact: the order of arrival does not matter",
    ),
    "sessions": Entry(
        sentence="The events, each marked with whether it begins a visit and how many seconds it adds to one.",
        signature="FROM sessions(source, 'duration')",
        arguments=(
            ("duration", "duration", "a visit ends after this long without an event"),
            ("session_begins", "BOOLEAN", "column: the user had no event within duration before it"),
            ("session_adds_s", "DOUBLE", "column: the seconds that it adds to the visit"),
        ),
        example="SELECT count(*) FILTER (WHERE session_begins) OVER 24h AS visits_24h,\n"
        "  sum(session_adds_s) OVER 24h AS stayed_s_24h\nFROM sessions(clicks, '30 minutes')\nGROUP BY user_id",
        means="the features over the events in log order; an event that arrives late begins no visit and adds 0 s",
        exact="exact for the order of the log; another order of arrival can mark other events",
    ),
}
HEADER: dict[str, str] = {
    "version": "a whole number; increase it when the meaning changes",
    "owner": "whom to ask about the group",
    "entity": "the key columns, the same as in GROUP BY",
    "source": "the stream it reads, the same as in FROM",
    "on_missing": "`zero` or `null`: the value of its features for an entity without data",
    "description": "one line for people",
    "retain": "optional: how long an entity is kept; by default the longest window plus the source's lateness",
    "stale_after": "optional: the age of an entity's newest event beyond which its values are marked stale",
    "boost": "optional: the feature by which rankings multiply an item's score",
    "max_entities": "optional: the expected number of entities; monitored, not enforced (docs/adr/0012)",
}
AT_READ: dict[str, Entry] = {
    "top_k": Entry(
        sentence="The values of the second key column with the largest feature value above zero, for one first key.",
        signature="ROLLUP first AS name: top_k(second, k, by => feature)",
        arguments=(
            ("first, second", "STRING, BIGINT, INT", "the two entity columns of the group"),
            ("k", "whole number", "the maximum number of members"),
            ("feature", "number", "a feature of the group; compared as float32, ties ordered by name"),
        ),
        example="SELECT decayed_count(*, half_life => '2 days') AS affinity\nFROM clicks\n"
        "GROUP BY user_id, category\nROLLUP user_id AS top_categories: top_k(category, 10, by => affinity)",
        means="the members ordered by the feature's value at t; read as (member, value)",
        exact="as exact as the feature it ranks by; all members are kept, so none is missed",
    ),
    "derive": Entry(
        sentence=f"A feature computed at read from earlier features: operators, CASE, IN, BETWEEN, {FUNCTIONS}.",
        signature="DERIVE expression [EACH (window, …)] AS name",
        arguments=(
            ("expression", "number", "over features of the group; `{w}` in names is replaced by each window"),
            ("prior", "number, 'global'", "of smooth_ratio: the ratio without data; 'global': the ratio over all keys"),
            ("strength", "number", "of smooth_ratio: the weight of the prior, in observations"),
        ),
        example="SELECT count(*) FILTER (WHERE event_type = 'click') OVER 24h AS clicks_24h,\n"
        "  count(*) FILTER (WHERE event_type = 'impression') OVER 24h AS imps_24h\nFROM clicks\nGROUP BY item_id\n"
        "DERIVE smooth_ratio(clicks_24h, imps_24h, prior => 0.05, strength => 20) AS ctr_24h",
        means="the expression over the values read at t, with SQL's NULL; x / 0 and ln or sqrt outside their domain are"
        " NULL; smooth_ratio(a, b, …) is (a + prior · strength) / (b + strength); bucket(x, 1, 10) is the number of"
        " bounds that x has reached; hash_bucket(x, n) is the first 7 hexadecimal digits of MD5(x) modulo n, for a"
        " STRING or a whole number; cross(a, b, …) joins several such values into one. All but 'global' also work in"
        " computed columns",
        exact="as exact as the features it reads",
    ),
}
