"""The reference of test files: their words, and a case that shows them."""

CASE: dict[str, str] = {
    "name": "one line: what holds",
    "given": "the source that the group reads, and a table of its events as ingest receives them",
    "expect": "what is then read, and how many events were refused",
    "check": "may stand: which of `shuffle`, `restart_anywhere`, `replay_twice` to do; by default all",
}
COUNTS: dict[str, str] = {
    "late": "received later after their time than the source's `lateness`",
    "duplicates": "that came before, by the column of `dedupe` and the time",
    "future": "received earlier before their time than the source's `future`",
    "missing": "that lack a value which the source calls REQUIRED",
    "bots": "beyond the count of the source's `bot`",
    "out_of_bounds": "with a time, a text or a number that the source has no room for",
    "taken": "whose id and time an event of another key had before",
}
EXAMPLE = """# features/item_clicks.test.yaml
- name: a late click counts, a too late one does not
  given:
    clickstream: |
      event_id, occurred_at, received_at, item_id, user_id, event_type, context
      e1, 10:00:00, 10:00:01, i1, u1, click, country=fi;device=ios
      e2, 09:59:00, 10:10:00, i1, u2, click,                        # 11 minutes late: kept
      e3, 09:30:00, 10:20:00, i1, u3, click,                        # 50 minutes late: refused
  expect:
    - {at: 10:00:02, key: i1, clicks_1h: 1}
    - {at: 10:20:30, key: i1, clicks_1h: 2}
    - {at: 2026-01-02 10:20:30, key: i1, clicks_1h: 0}
    - {late: 1, duplicates: 0}
"""
_PAGE = """# Test files

Written by `make docs` from the code; a test compares. `headrace features test` runs them. The tests of group \
`item_clicks` stand in `item_clicks.test.yaml` beside its SQL: a YAML list of cases.

```yaml
{example}```

| a case has | |
|---|---|
{case}
**given** is a table: a line of column names, then a line an event, cells separated by commas, `#` for a comment. The \
columns are those of an accepted event that ingest does not compute: declared ones and stamped ones, with the source's \
`dedupe` column, its `event_time` and `received_at` among them. An empty cell is NULL, a map is `key=value;key=value`, \
a BOOLEAN `true` or `false`. A time is `10:00:00`, which is of 2026-01-01, `2026-01-02 10:00:00`, or milliseconds \
since 1970; UTC. Events come in the order of `received_at`, ties as written.

**expect** is a list. With `at` and `key` an element says what is read at that time, of what was received by then: any \
features of the group by name. The key of a group of several columns is a list, `key: [fi, shoes]`; a ROLLUP is asked \
for by its own column, `key: fi`. Numbers agree to one in a million. A ranking is a list of names, or of \
`[name, value]`; NULL is `null`. Without `at`, an element counts the events that ingest refuses:

| | events |
|---|---|
{counts}
**check** names what the reads are repeated under, besides the oracle and the tiles in order: the events shuffled \
(not where the group reads `sessions`), the job restarted from a checkpoint before every event, the log read twice \
into one store. `--engine flink` runs the SQL of the features job instead.

Values that are not in quotes are read as YAML 1.2 does: `12:00:00`, `2026-01-02`, `007` and `no` are text. What is \
wrong in a file is told with its place and a code of [errors](errors.md): F100, F101, F116 or F140. An expectation \
that is not met is F150.
"""


def cases_page() -> str:
    """The page."""
    return _PAGE.format(example=EXAMPLE, case=_rows(CASE), counts=_rows(COUNTS))


def _rows(words: dict[str, str]) -> str:
    return "".join(f"| `{word}` | {meaning} |\n" for word, meaning in words.items())
