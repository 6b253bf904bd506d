"""Reference entries of the aggregates kept in tiles (`lang.aggregates.tile_aggregates`)."""

from headrace.lang.plan.plan import PartialOp, TileFunction
from headrace.lang.reference.entry import AHEAD, FLOATS, HALF_LIFE, NUMBER, WINDOW, Entry

MERGED: dict[PartialOp, str] = {
    "count": "added",
    "sum": "added",
    "squares": "added",
    "min": "the smaller",
    "max": "the larger",
    "decayed_sum": "scaled to the time of the read, then added",
    "decayed_count": "scaled to the time of the read, then added",
}
"""How the cells of two tiles merge."""

_AFTER = "[FILTER (WHERE condition)] OVER window"
_X = ("x", NUMBER, "the aggregated value; NULLs are skipped")
_COUNTED = ("* or x", "any type", "counts rows, or the values of x that are not NULL")
_EDGE = (
    "edge => interpolate",
    "word",
    "optional: the tile in which the window begins counts by the share of it that is inside the window",
)
_CLICKS = "FILTER (WHERE event_type = 'click')"
_DWELLS = "FILTER (WHERE event_type = 'dwell')"
_PASS = "the events received by t that pass FILTER and whose tile starts in (t - window, t]"
_FADED = "Events older than 16 to 32 half-lives are dropped; they would weigh less than 2^-16."


def _select(measure: str) -> str:
    return f"SELECT {measure}\nFROM clicks\nGROUP BY item_id"


TILES: dict[TileFunction, Entry] = {
    "count": Entry(
        sentence=f"The number of events, or of values that are not NULL. {WINDOW}",
        signature=f"count(*[, edge => interpolate]) {_AFTER}",
        arguments=(_COUNTED, _EDGE),
        example=_select(f"count(*) {_CLICKS} OVER EACH (1h, 24h) AS clicks_{{w}}"),
        means=f"the number of {_PASS}{AHEAD}",
        exact="exact below 2^53",
    ),
    "sum": Entry(
        sentence=f"The sum of a value. {WINDOW}",
        signature=f"sum(x[, edge => interpolate]) {_AFTER}",
        arguments=(_X, _EDGE),
        example=_select(f"sum(value) {_DWELLS} OVER 24h AS dwell_24h"),
        means=f"the sum of x over {_PASS}{AHEAD}",
        exact=FLOATS,
    ),
    "avg": Entry(
        sentence=f"The mean of a value. {WINDOW}",
        signature=f"avg(x[, edge => interpolate]) {_AFTER}",
        arguments=(_X, _EDGE),
        example=_select(f"avg(value) {_DWELLS} OVER 24h AS dwell_avg_24h"),
        means=f"the mean of x over {_PASS}{AHEAD}",
        exact=FLOATS,
    ),
    "variance": Entry(
        sentence=f"The sample variance of a value (divided by n - 1). {WINDOW}",
        signature=f"variance(x) {_AFTER}",
        arguments=(_X,),
        example=_select(f"variance(value) {_DWELLS} OVER 24h AS dwell_variance_24h"),
        means=f"the sample variance of x over {_PASS}; NULL for a single event{AHEAD}",
        exact="approximate if small compared with the mean: anything below 1e-15 of the squared mean is lost",
    ),
    "stddev": Entry(
        sentence=f"The sample standard deviation of a value: the square root of `variance`. {WINDOW}",
        signature=f"stddev(x) {_AFTER}",
        arguments=(_X,),
        example=_select(f"stddev(value) {_DWELLS} OVER 24h AS dwell_stddev_24h"),
        means=f"the sample standard deviation of x over {_PASS}; NULL for a single event{AHEAD}",
        exact="as exact as `variance`",
    ),
    "min": Entry(
        sentence=f"The smallest value. {WINDOW}",
        signature=f"min(x) {_AFTER}",
        arguments=(_X,),
        example=_select(f"min(value) {_DWELLS} OVER 24h AS dwell_min_24h"),
        means=f"the smallest x of {_PASS}{AHEAD}",
        exact="exact",
    ),
    "max": Entry(
        sentence=f"The largest value. {WINDOW}",
        signature=f"max(x) {_AFTER}",
        arguments=(_X,),
        example=_select(f"max(value) {_DWELLS} OVER 24h AS dwell_max_24h"),
        means=f"the largest x of {_PASS}{AHEAD}",
        exact="exact",
    ),
    "rate_of_change": Entry(
        sentence=f"The relative change of a count from the previous window to this one: 1 means doubled. {WINDOW}",
        signature=f"rate_of_change(*) {_AFTER}",
        arguments=(_COUNTED,),
        example=_select(f"rate_of_change(*) {_CLICKS} OVER 1h AS trend_1h"),
        means=f"(now - before) / before: now counts {_PASS}, before counts those of the window that ended at"
        f" t - window; NULL if before is 0{AHEAD}",
        exact="exact below 2^53",
    ),
    "decayed_count": Entry(
        sentence=f"A count in which an event's weight halves every half-life. {_FADED}",
        signature="decayed_count(*, half_life => 'duration') [FILTER (WHERE condition)]",
        arguments=(_COUNTED, HALF_LIFE),
        example=_select(f"decayed_count(*, half_life => '6 hours') {_CLICKS} AS heat"),
        means="the sum of 2^(-(t - event time) / half_life) over the events received by t that pass FILTER" + AHEAD,
        exact=FLOATS,
    ),
    "decayed_sum": Entry(
        sentence=f"A sum in which a value's weight halves every half-life. {_FADED}",
        signature="decayed_sum(x, half_life => 'duration') [FILTER (WHERE condition)]",
        arguments=(_X, HALF_LIFE),
        example=_select(f"decayed_sum(value, half_life => '2 days') {_DWELLS} AS interest"),
        means="the sum of x · 2^(-(t - event time) / half_life) over the events received by t that pass FILTER" + AHEAD,
        exact=FLOATS,
    ),
    "decayed_avg": Entry(
        sentence=f"A mean in which a value's weight halves every half-life. {_FADED}",
        signature="decayed_avg(x, half_life => 'duration') [FILTER (WHERE condition)]",
        arguments=(_X, HALF_LIFE),
        example=_select(f"decayed_avg(value, half_life => '3 days') {_DWELLS} AS dwell_ewma"),
        means="the decayed sum of x divided by the decayed count of the values that are not NULL" + AHEAD,
        exact=FLOATS,
    ),
}
