"""The reference of dead letters: their codes, and the limits that ingest and the API judge events by."""

from schemas.dead_letter import REASONS
from schemas.limits import (
    BODY_BYTES,
    DOUBLE_MOST,
    EARLIEST,
    LATEST,
    LEVELS,
    MAP_ENTRIES,
    MAP_VALUE_CHARS,
    RECORD_BYTES,
    TEXT_CHARS,
)

_LIMITS: dict[str, tuple[str, str]] = {
    "a record, a request's body": (f"{RECORD_BYTES // 1024} KiB, {BODY_BYTES // 1024} KiB", "`oversize`, HTTP 413"),
    "objects and arrays within one another": (f"{LEVELS} levels", "`depth`"),
    "a text: ids, types, categories": (
        f"{TEXT_CHARS} characters, or as many as the column declares: `STRING(1000)`",
        "`length`",
    ),
    "control characters (U+0000 to U+001F, U+007F) in a text": ("none: they separate the parts of keys", "`text`"),
    "entries of a map, characters of one": (f"{MAP_ENTRIES}, {MAP_VALUE_CHARS}", "`length`"),
    "a DOUBLE": (f"{-DOUBLE_MOST:.3g} to {DOUBLE_MOST:.3g}, and the column's `CHECK (…)`", "`range`"),
    "a BIGINT, an INT": ("64 bits, 32 bits", "`type`"),
    "an event time, `received_at`": (f"{EARLIEST} to {LATEST}, or `times BETWEEN …` of the source", "`time`"),
}
_PAGE = """# Dead letters

Written by `make docs` from the code; a test compares. A record that ingest cannot use goes to topic `events.dead` \
with its reason, topic, partition and offset, and ingest takes the next one. `headrace dead` shows the newest. The \
reason begins with a code; `POST /v1/events` answers with the same codes, because it runs the same checks.

| code | why |
|---|---|
{reasons}
Where more than half of the last 1,000 records, and at least 100, end as `internal`, the job stops and says why: a \
broken program is no stream of bad records.

| limit | by default | beyond it |
|---|---|---|
{limits}
A blank text of an optional column becomes NULL; in a map NULLs and blanks are dropped, and numbers and booleans \
become text (`7`, `1.5`, `true`). Ids are compared as they are: blanks at their ends and upper case are part of them. \
If a JSON object has a name twice, the last value counts.
"""


def dead_page() -> str:
    """The page."""
    reasons = "".join(f"| `{code}` | {meaning} |\n" for code, meaning in REASONS.items())
    limits = "".join(f"| {what} | {most} | {beyond} |\n" for what, (most, beyond) in _LIMITS.items())
    return _PAGE.format(reasons=reasons, limits=limits)
