"""The ranker's dense inputs: which features it reads, and how each becomes a number near 1."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Literal, TypeAlias, get_args

from msgspec import Struct, structs

Side: TypeAlias = Literal["user", "item", "cross"]
SIDES: tuple[Side, ...] = get_args(Side)
Shape: TypeAlias = Literal["log", "rate", "odds", "plain"]


class Column(Struct, frozen=True):
    """One input value: its source, transformation and scale.

    Shapes: `log` is log1p(x) * scale, `rate` is log((x + 0.001) / 0.05) * scale, so that a click rate of 5 %
    is 0, `odds` is log((x + 0.001) / (1.001 - x)) * scale for shares that may be close to 1, `plain` is x * scale.
    All are clipped to [-3, 3]; a missing value (absent or NaN) becomes 0.
    """

    name: str
    side: Side
    shape: Shape
    scale: float


class Reads(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What serving reads that is no input, as `group.feature`; an empty text for what it is to do without.

    Attributes:
        history: of a user, a list of items, newest first: `last_n(item_id, …)`.
        top_categories: of a user, a ROLLUP of categories.
        heat, lasting: of an item, what sources `trending` and `popular` sort by.
        seen: of an item, its impressions, by which exploration prefers items hardly shown.
        clicks: of an item, all clicks, by which source `together` is divided.
        click_rate: of an item, its score where no model ranks.
        next, together, similar: of an item, ROLLUPs of items: two sources of candidates, and `/similar`.
        country, daypart: of a computed column of the event, ROLLUPs of categories for new users.
    """

    history: str = "user_recent.recent_items"
    top_categories: str = "user_category.user_top_categories"
    heat: str = "item_engagement.heat_6h"
    lasting: str = "item_popularity.clicks_30d"
    seen: str = "item_engagement.imps_24h"
    clicks: str = "item_quality.clicks_ever"
    click_rate: str = "item_engagement.ctr_7d"
    next: str = "item_next.next_items"
    together: str = "item_together.clicked_too"
    similar: str = "item_coview.seen_with"
    country: str = "country_category.country_categories"
    daypart: str = "daypart_category.daypart_categories"


class Inputs(Struct, frozen=True, kw_only=True):
    """The inputs of a ranker, in the order of its vector.

    Attributes:
        columns: those of the user first, then of the item, then of the pair of both.
        missing: columns with a flag of their own for a missing value.
        ranked: columns with their rank among the candidates of a request.
        reads: what serving reads that is no input.
    """

    columns: tuple[Column, ...]
    missing: tuple[str, ...] = ()
    ranked: tuple[str, ...] = ()
    reads: Reads = Reads()

    @property
    def dense(self) -> tuple[str, ...]:
        """The name of each number of the vector [F]."""
        return (
            *(column.name for column in self.columns),
            *(f"{name}.missing" for name in self.missing),
            *(f"{name}.rank" for name in self.ranked),
        )

    @property
    def feature_set(self) -> str:
        """A hash of names, order, shapes and scales. Who makes vectors and who learns from them must have the same."""
        lines = [*(f"{c.name} {c.shape} {c.scale}" for c in self.columns), *self.dense]
        others = structs.asdict(Reads())
        lines += [f"{role} is {name}" for role, name in structs.asdict(self.reads).items() if name != others[role]]
        return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()

    def of(self, side: Side) -> tuple[str, ...]:
        """The columns of a side, in order."""
        return tuple(column.name for column in self.columns if column.side == side)


SHIPPED = Inputs(
    columns=(
        Column("user_recent.clicks_24h", "user", "log", 0.4),
        Column("user_recent.idle_s", "user", "log", 0.15),
        Column("user_recent.dwell_ewma", "user", "log", 0.3),
        Column("user_category.affinity_total", "user", "log", 0.5),
        Column("user_engagement.imps_ever", "user", "log", 0.2),
        Column("user_engagement.clicks_ever", "user", "log", 0.3),
        Column("user_engagement.ctr_ever", "user", "odds", 0.4),
        Column("user_engagement.imps_now", "user", "log", 0.4),
        Column("user_engagement.ctr_now", "user", "odds", 0.4),
        Column("user_pace.imps_1m", "user", "log", 0.4),
        Column("user_pace.ctr_1m", "user", "odds", 0.4),
        Column("user_pace.imps_2h", "user", "log", 0.3),
        Column("user_pace.ctr_2h", "user", "odds", 0.4),
        Column("user_pace.imps_1d", "user", "log", 0.3),
        Column("user_pace.ctr_1d", "user", "odds", 0.4),
        Column("user_sessions.visits_7d", "user", "log", 0.4),
        Column("user_sessions.visit_s", "user", "log", 0.15),
        Column("user_sessions.depth", "user", "log", 0.4),
        Column("user_price.clicked_avg_30d", "user", "log", 0.2),
        Column("request.count", "user", "log", 0.4),
        Column("item_engagement.imps_1h", "item", "log", 0.2),
        Column("item_engagement.clicks_1h", "item", "log", 0.3),
        Column("item_engagement.imps_24h", "item", "log", 0.15),
        Column("item_engagement.clicks_24h", "item", "log", 0.25),
        Column("item_engagement.ctr_1h", "item", "rate", 0.5),
        Column("item_engagement.ctr_24h", "item", "rate", 0.5),
        Column("item_engagement.ctr_7d", "item", "rate", 0.5),
        Column("item_engagement.heat_6h", "item", "log", 0.3),
        Column("item_engagement.log_imps_24h", "item", "plain", 0.15),
        Column("item_quality.imps_ever", "item", "log", 0.15),
        Column("item_quality.clicks_ever", "item", "log", 0.2),
        Column("item_quality.ctr_ever", "item", "odds", 0.4),
        Column("item_pace.imps_4d", "item", "log", 0.2),
        Column("item_pace.ctr_4d", "item", "odds", 0.4),
        Column("item_heat.heat_10m", "item", "log", 0.4),
        Column("item_heat.warming", "item", "plain", 0.7),
        Column("item_heat.heat_2d", "item", "log", 0.3),
        Column("item_popularity.clicks_1d", "item", "log", 0.3),
        Column("item_popularity.clicks_7d", "item", "log", 0.25),
        Column("item_popularity.clicks_30d", "item", "log", 0.2),
        Column("item_popularity.rising", "item", "plain", 0.7),
        Column("item_growth.quiet_s", "item", "log", 0.1),
        Column("item_growth.velocity_30m", "item", "plain", 0.3),
        Column("seller_quality.ctr_7d", "item", "rate", 0.5),
        Column("seller_quality.conversion_7d", "item", "rate", 0.3),
        Column("item.age_s", "item", "log", 0.08),
        Column("item.price", "item", "log", 0.2),
        Column("user_category.affinity", "cross", "log", 0.7),
        Column("user_category.affinity_share", "cross", "plain", 2.0),
        Column("user_category.skips_1h", "cross", "log", 0.5),
        Column("user_category.skips_24h", "cross", "log", 0.4),
        Column("user_category_engagement.imps_ever", "cross", "log", 0.3),
        Column("user_category_engagement.ctr_ever", "cross", "odds", 0.4),
        Column("item_next.strength", "cross", "log", 0.5),
        Column("item_next.cosine", "cross", "rate", 0.5),
        Column("item_next.cosine_newest", "cross", "rate", 0.5),
        Column("item_together.strength", "cross", "log", 0.5),
        Column("item_together.cosine", "cross", "rate", 0.5),
        Column("item_together.cosine_newest", "cross", "rate", 0.5),
        Column("user_price.dearness", "cross", "plain", 0.7),
        Column("history.contains", "cross", "plain", 1.0),
        Column("history.category_share", "cross", "plain", 2.0),
        Column("history.likeness", "cross", "plain", 2.0),
        Column("history.likeness_recent", "cross", "plain", 2.0),
        Column("history.likeness_newest", "cross", "plain", 2.0),
        Column("history.words", "cross", "plain", 4.0),
        Column("history.words_recent", "cross", "plain", 4.0),
        Column("history.years_apart", "cross", "log", 0.5),
        Column("history.years_apart_recent", "cross", "log", 0.5),
    ),
    missing=(
        "user_recent.idle_s",
        "item_engagement.imps_24h",
        "item_next.strength",
        "item_together.strength",
        "item.price",
    ),
    ranked=("item_engagement.heat_6h", "item_engagement.clicks_24h", "item_engagement.ctr_24h"),
)
"""The inputs over the shipped groups."""

COMPUTED: Mapping[str, tuple[str, ...]] = {
    "user_category.affinity_total": ("user_category.affinity",),
    "user_category.affinity_share": ("user_category.affinity",),
    "user_category_engagement.ctr_ever": (
        "user_category_engagement.imps_ever",
        "user_category_engagement.clicks_ever",
        "user_engagement.ctr_ever",
    ),
    "request.count": (),
    "item.age_s": (),
    "item.price": (),
    "item_next.strength": (SHIPPED.reads.next,),
    "item_next.cosine": (SHIPPED.reads.next, SHIPPED.reads.clicks),
    "item_next.cosine_newest": (SHIPPED.reads.next, SHIPPED.reads.clicks),
    "item_together.strength": (SHIPPED.reads.together,),
    "item_together.cosine": (SHIPPED.reads.together, SHIPPED.reads.clicks),
    "item_together.cosine_newest": (SHIPPED.reads.together, SHIPPED.reads.clicks),
    "user_price.dearness": ("user_price.clicked_avg_30d",),
    "history.contains": (SHIPPED.reads.history,),
    "history.category_share": (SHIPPED.reads.history,),
    "history.likeness": (SHIPPED.reads.history,),
    "history.likeness_recent": (SHIPPED.reads.history,),
    "history.likeness_newest": (SHIPPED.reads.history,),
    "history.words": (SHIPPED.reads.history,),
    "history.words_recent": (SHIPPED.reads.history,),
    "history.years_apart": (SHIPPED.reads.history,),
    "history.years_apart_recent": (SHIPPED.reads.history,),
}
"""The inputs that serving computes, and the features that each is made of. The others are features as they are."""


def features_of(inputs: Inputs) -> tuple[str, ...]:
    """The features that the inputs are made of, as `group.feature`."""
    instead = dict(zip(structs.astuple(SHIPPED.reads), structs.astuple(inputs.reads), strict=True))
    computed = {name: tuple(instead.get(each, each) for each in read) for name, read in COMPUTED.items()}
    read = (computed.get(column.name, (column.name,)) for column in inputs.columns)
    return tuple(dict.fromkeys(name for names in read for name in names if name))
