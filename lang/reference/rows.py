"""Reference entries of the aggregates kept as rows (`lang.planner.rows`, `lang.aggregates.sequences`)."""

from headrace.lang.aggregates.hyperloglog import REGISTERS, STANDARD_ERROR_RATIO
from headrace.lang.plan.plan import SequenceFunction
from headrace.lang.reference.entry import KEEPABLE, NUMBER, Entry

_CLICKS = "FILTER (WHERE event_type = 'click')"
_PASS = "the events received by t that pass FILTER"
_RECENT = f"{_PASS} and are later than t - window"
_NEWEST = "ordered by (event time, event id), not by arrival"
_FILTER = "[FILTER (WHERE condition)]"


def _select(measure: str) -> str:
    return f"SELECT {measure}\nFROM clicks\nGROUP BY user_id"


ROWS: dict[SequenceFunction, Entry] = {
    "last_n": Entry(
        sentence=f"A list of the newest values, newest first, {_NEWEST}.",
        signature=f"last_n(x, n) {_FILTER} [OVER window]",
        arguments=(
            ("x", KEEPABLE, "the listed value, as text; events where it is NULL are skipped"),
            ("n", "whole number", "the maximum length, from 1 to 1000"),
        ),
        example=_select(f"last_n(item_id, 50) {_CLICKS} OVER 7d AS recent_items"),
        means=f"x of the newest n of {_RECENT}",
        exact="exact",
    ),
    "last": Entry(
        sentence=f"The newest value, {_NEWEST}.",
        signature=f"last(x) {_FILTER} [OVER window]",
        arguments=(("x", NUMBER, "NULLs are skipped"),),
        example=_select("last(value) FILTER (WHERE event_type = 'dwell') AS dwell_last"),
        means=f"x of the newest of {_RECENT}",
        exact="exact",
    ),
    "first": Entry(
        sentence="The oldest value, ordered by (event time, event id). It takes no window.",
        signature=f"first(x) {_FILTER}",
        arguments=(("x", NUMBER, "NULLs are skipped"),),
        example=_select("first(value) FILTER (WHERE event_type = 'dwell') AS dwell_first"),
        means=f"x of the oldest of {_PASS}",
        exact="exact as far back as the group retains its rows",
    ),
    "count_distinct": Entry(
        sentence="The number of distinct values, up to 1000.",
        signature=f"count(DISTINCT x) {_FILTER} OVER window",
        arguments=(("x", KEEPABLE, "NULLs are skipped"),),
        example=_select(f"count(DISTINCT item_id) {_CLICKS} OVER 24h AS items_24h"),
        means=f"the number of distinct x of {_RECENT}, at most 1000",
        exact="exact up to 1000; use `approx_distinct` for more",
    ),
    "approx_distinct": Entry(
        sentence="The approximate number of distinct values, in constant space (HyperLogLog).",
        signature=f"approx_distinct(x) {_FILTER} OVER window",
        arguments=(("x", KEEPABLE, "NULLs are skipped"),),
        example=_select(f"approx_distinct(item_id) {_CLICKS} OVER 7d AS items_approx_7d"),
        means=f"the estimate of a sketch of {REGISTERS} registers that holds every x of {_RECENT}",
        exact=f"approximate: standard error {STANDARD_ERROR_RATIO:.1%}, smaller for a few hundred values",
    ),
    "percentile": Entry(
        sentence="The value below which a share q of the values lies, interpolated (PERCENTILE_CONT).",
        signature=f"percentile(x, q) {_FILTER} OVER window",
        arguments=(("x", NUMBER, "NULLs are skipped"), ("q", "literal", "the share, from 0 to 1: 0.5 is the median")),
        example=_select("percentile(value, 0.9) FILTER (WHERE event_type = 'dwell') OVER 24h AS dwell_p90_24h"),
        means=f"the q-quantile of x over the newest 1000 of {_RECENT}",
        exact="exact for up to 1000 events in the window; beyond that it covers the newest 1000",
    ),
    "seconds_since_last": Entry(
        sentence="The time since the newest event, in seconds; it grows until the next event.",
        signature=f"seconds_since_last() {_FILTER}",
        arguments=(),
        example=_select(f"seconds_since_last() {_CLICKS} AS idle_s"),
        means=f"t - event time of the newest of {_PASS}, in seconds, never below 0",
        exact="exact",
    ),
}
