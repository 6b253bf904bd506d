"""The reference of what is kept as rows: `lang.planner.rows` and `lang.aggregates.sequences`."""

from lang.aggregates.hyperloglog import REGISTERS, STANDARD_ERROR_RATIO
from lang.plan.plan import SequenceFunction
from lang.reference.entry import KEEPABLE, NUMBER, Entry

_CLICKS = "FILTER (WHERE event_type = 'click')"
_PASS = "the events received by t that pass FILTER"
_RECENT = f"{_PASS} and are later than t - window"
_NEWEST = "by (event time, event id), never by arrival"
_FILTER = "[FILTER (WHERE condition)]"


def _select(measure: str) -> str:
    return f"SELECT {measure}\nFROM clicks\nGROUP BY user_id"


ROWS: dict[SequenceFunction, Entry] = {
    "last_n": Entry(
        sentence=f"The newest values as a list, the newest first, {_NEWEST}.",
        signature=f"last_n(x, n) {_FILTER} [OVER window]",
        arguments=(
            ("x", KEEPABLE, "what is listed, as text; an event where it is NULL is no row"),
            ("n", "whole number", "how many at most, from 1 to 1000"),
        ),
        example=_select(f"last_n(item_id, 50) {_CLICKS} OVER 7d AS recent_items"),
        means=f"x of the newest n of {_RECENT}",
        exact="exact",
    ),
    "last": Entry(
        sentence=f"The newest value, {_NEWEST}.",
        signature=f"last(x) {_FILTER} [OVER window]",
        arguments=(("x", NUMBER, "a NULL is left out"),),
        example=_select("last(value) FILTER (WHERE event_type = 'dwell') AS dwell_last"),
        means=f"x of the newest of {_RECENT}",
        exact="exact",
    ),
    "first": Entry(
        sentence="The oldest value, by (event time, event id). It takes no window.",
        signature=f"first(x) {_FILTER}",
        arguments=(("x", NUMBER, "a NULL is left out"),),
        example=_select("first(value) FILTER (WHERE event_type = 'dwell') AS dwell_first"),
        means=f"x of the oldest of {_PASS}",
        exact="exact as far back as the group retains its rows",
    ),
    "count_distinct": Entry(
        sentence="How many different values, up to a thousand.",
        signature=f"count(DISTINCT x) {_FILTER} OVER window",
        arguments=(("x", KEEPABLE, "a NULL is left out"),),
        example=_select(f"count(DISTINCT item_id) {_CLICKS} OVER 24h AS items_24h"),
        means=f"the number of different x of {_RECENT}, 1000 where there are more",
        exact="exact up to 1000, then 1000; `approx_distinct` goes on",
    ),
    "approx_distinct": Entry(
        sentence="About how many different values, in bounded room whatever their number (HyperLogLog).",
        signature=f"approx_distinct(x) {_FILTER} OVER window",
        arguments=(("x", KEEPABLE, "a NULL is left out"),),
        example=_select(f"approx_distinct(item_id) {_CLICKS} OVER 7d AS items_approx_7d"),
        means=f"the estimate of a sketch of {REGISTERS} registers that holds every x of {_RECENT}",
        exact=f"approximate: standard error {STANDARD_ERROR_RATIO:.1%}, less for a few hundred values",
    ),
    "percentile": Entry(
        sentence="The value below which a share of the values lies, in proportion between two (PERCENTILE_CONT).",
        signature=f"percentile(x, q) {_FILTER} OVER window",
        arguments=(("x", NUMBER, "a NULL is left out"), ("q", "literal", "the share, from 0 to 1: 0.5 is the median")),
        example=_select("percentile(value, 0.9) FILTER (WHERE event_type = 'dwell') OVER 24h AS dwell_p90_24h"),
        means=f"the q-quantile of x over the newest 1000 of {_RECENT}",
        exact="exact for up to 1000 events in the window; of the newest 1000 where there are more",
    ),
    "seconds_since_last": Entry(
        sentence="How long ago the newest event was; it grows with no new event.",
        signature=f"seconds_since_last() {_FILTER}",
        arguments=(),
        example=_select(f"seconds_since_last() {_CLICKS} AS idle_s"),
        means=f"t - event time of the newest of {_PASS}, in seconds, never below 0",
        exact="exact",
    ),
}
