"""The reference of SOURCE: the words of its header, and what a column says."""

SOURCE_WORDS: dict[str, tuple[str, str]] = {
    "topic": ("'events'", "the Kafka topic that producers write JSON to; accepted events are in `<topic>.clean`"),
    "event_time": ("column", "when it happened: a BIGINT, milliseconds since 1970 UTC"),
    "lateness": ("'15 minutes'", "how long after its time an event may be received; later ones are dead letters"),
    "future": ("'5 minutes'", "how long before its time it may be received"),
    "times": (
        "BETWEEN '1990-01-01' AND '2100-01-01'",
        "optional, with this default: the range of event times and `received_at`, the last day excluded. A time outside"
        " it is a dead letter that names the unit it looks like: seconds, microseconds or nanoseconds",
    ),
    "dedupe": (
        "column WITHIN '1 day'",
        "the first of each (column, event time) counts, those that follow within that time do not; at least `lateness`"
        " and `future` together (F113). The same by another key (`user_id`) is a dead letter",
    ),
    "stamp": (
        "table (name TYPE, …) ON column [= column]",
        "optional, several times: columns that ingest copies onto the event from the latest record of `items` or of"
        " another source that was received no later (docs/streams.md)",
    ),
    "mask": ("(column, …) WITH hash", "optional: STRING columns that a keyed hash takes the place of, from ingest on"),
    "bot": (
        "WHEN count(*) PER (column) EACH '1 minute' > 100",
        "optional: only the first events of each value of the column in each such span of `received_at` count. The rest"
        " are dead letters, and their users' slates do not train for the rest of the day",
    ),
    "retain": (
        "30d",
        "optional: how long the clean topic keeps an event, `lifetime` for ever; by default 7d. Topic `events` has its"
        " own in schemas/topics.py",
    ),
}
_COLUMNS = """| a column is | |
|---|---|
| `name TYPE` | a value that may be absent: then it is NULL |
| `name TYPE REQUIRED` | an event without it, or with a blank text, is a dead letter |
| `name STRING(1000)` | a text of at most 1,000 characters; the default is 256 |
| `name TYPE CHECK (condition)` | an event of which the condition is false is a dead letter; NULL passes. The \
condition may read all declared columns |
| `name TYPE AS expression` | computed by ingest of declared and stamped columns, with the functions of \
[derive](derive.md); producers do not send it |

TYPE is `STRING`, `BIGINT`, `INT`, `DOUBLE`, `BOOLEAN` or `MAP<STRING, STRING>`; one entry of a map is \
`context['country']`. Whole numbers have 64 or 32 bits, a DOUBLE is within what a 32-bit float holds, a MAP has at \
most 64 entries of at most 1024 characters, and no text holds control characters (U+0000 to U+001F, U+007F): they \
separate the parts of keys. Ids are compared as they are, blanks included. A computed column that has no value within \
its type is NULL: a division by zero, a DOUBLE beyond 3.4e38, whole-number arithmetic beyond 9.2e18. \
`received_at BIGINT` must be declared: when our edge first saw the event. Without `event_type` all events count \
alike; one of type `_tick` only says how late the log is, and all others that begin with `_` are reserved. A topic is \
keyed by `user_id` where there is one, else by the `dedupe` column."""
_PAGE = """# `SOURCE`

A stream, declared once: it drives the ingest job and every group that reads it. Written by `make docs` from the code; \
a test compares. `docs/streams.md` adds one step by step.

```sql
{source}```

| the header says | | |
|---|---|---|
{words}
{columns}
"""


def source_page(source: str) -> str:
    """The page, with a source for example."""
    words = "".join(f"| `{word}` | `{form}` | {meaning} |\n" for word, (form, meaning) in SOURCE_WORDS.items())
    return _PAGE.format(source=source, words=words, columns=_COLUMNS)
