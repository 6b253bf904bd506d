"""The reference of SOURCE: the words of its header, and what a column says."""

SOURCE_WORDS: dict[str, tuple[str, str]] = {
    "topic": ("'events'", "the Kafka topic that producers write JSON to; accepted events are in `<topic>.clean`"),
    "event_time": ("column", "when it happened: a BIGINT, milliseconds since 1970 UTC"),
    "lateness": ("'15 minutes'", "how long after its time an event may be received; later ones are dead letters"),
    "future": ("'5 minutes'", "how long before its time it may be received"),
    "dedupe": (
        "column WITHIN '1 day'",
        "the first of each (column, event time) counts, those that follow within that time do not; at least `lateness`"
        " and `future` together (F113)",
    ),
    "stamp": (
        "table (name TYPE, …) ON column [= column]",
        "may stand, several times: columns that ingest copies onto the event from the latest record of `items` or of"
        " another source that was received no later (docs/streams.md)",
    ),
    "mask": ("(column, …) WITH hash", "may stand: STRING columns that a keyed hash takes the place of, from ingest on"),
    "bot": (
        "WHEN count(*) PER (column) EACH '1 minute' > 100",
        "may stand: of one value of the column the first so many in each such time of `received_at` count",
    ),
    "retain": (
        "30d",
        "may stand: how long the clean topic keeps an event, `lifetime` for ever; by default 7d. Topic `events` has its"
        " own in schemas/topics.py",
    ),
}
_COLUMNS = """| a column is | |
|---|---|
| `name TYPE` | a value that may be absent: then it is NULL |
| `name TYPE REQUIRED` | an event without it is a dead letter |
| `name TYPE AS expression` | computed by ingest of declared and stamped columns, with the functions of \
[derive](derive.md); producers do not send it |

TYPE is `STRING`, `BIGINT`, `INT`, `DOUBLE`, `BOOLEAN` or `MAP<STRING, STRING>`; one entry of a map is \
`context['country']`. `received_at BIGINT` must be declared: when our edge first saw the event. Without `event_type` \
all events count alike; one whose `event_type` begins with `_` only says how late the log is. A topic is keyed by \
`user_id` where there is one, else by the `dedupe` column."""
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
