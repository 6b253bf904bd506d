"""The synthetic world: what users like, how that drifts, and which items are born. Pure, seeded, without a clock.

It is a feed of news or short videos in fast forward: trends change and items fade within minutes rather than a day.
The probability that a user clicks an item at a position is

    sigmoid(base + taste . style + trend . style + quality + fading + position)

with the weights of `WorldSettings`. Style is hidden; the visible category explains only a part of it.
Axes: U users, N items, D hidden directions, C items of a slate.
"""

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from headrace.models.array_types import Doubles, Indexes
from headrace.schemas.catalogue import Item
from headrace.simulator.item_vectors import ItemVectors, SimulatedModality

SELLERS = 300
COUNTRIES = ("dk", "ee", "fi", "no", "se")


class WorldSettings(Struct, frozen=True, kw_only=True):
    """The size of the world, the strength of each influence on a click, and the speed of drift.

    A weight is the standard deviation of an influence over all users and items, in log-odds.

    Attributes:
        category_share: share of the variance of item styles that the category explains.
        base: log-odds of a click on an item of age 0 at position 0, with all influences at their mean.
        lasting_share: share of the variance of a taste that never changes; the rest is mood.
        mood_s: time constant of the decay of moods. `trend_s`: that of the trend, which all users share.
        births_per_s: new items per second. `fade_s`: half-life of the odds of a click on an item.
        position: log-odds per doubling of (position + 1).
        purchase: log-odds of a purchase after a click on an item at the usual price of its category.
        views: modalities of the item vectors; the ranker must declare the same ones.
    """

    users: int = 4_800
    items: int = 5_000
    categories: int = 40
    directions: int = 8
    category_share: float = 0.5
    base: float = -2.5
    taste: float = 1.1
    trend: float = 1.4
    quality: float = 0.5
    position: float = -0.15
    lasting_share: float = 0.7
    mood_s: float = 600.0
    trend_s: float = 150.0
    births_per_s: float = 4.0
    fade_s: float = 300.0
    purchase: float = -3.0
    views: tuple[SimulatedModality, ...] = ()


class Reaction(Struct, frozen=True, kw_only=True):
    """A click on one item of a slate: when, for how long (s), and whether the user buys it."""

    position: int
    after_s: float
    dwell_s: float
    bought: bool


class World:
    """The state of the world at `now_s`; only `advance` changes it, second by second."""

    def __init__(self, settings: WorldSettings, generator: Generator) -> None:
        self.settings = settings
        self.now_s = 0
        self._random = generator
        directions = settings.directions
        self._centres = _units(generator, settings.categories, directions)
        self._usual_price = np.exp(generator.normal(3.0, 0.8, settings.categories))
        self._lasting = generator.normal(0, np.sqrt(settings.lasting_share), (settings.users, directions))
        self._mood = generator.normal(0, np.sqrt(1 - settings.lasting_share), (settings.users, directions))
        self.trend: Doubles = generator.normal(0, 1, directions)
        self.categories: Indexes = np.zeros(0, np.int64)
        self.prices: Doubles = np.zeros(0)
        self.born_s: Doubles = np.zeros(0)
        self._styles: Doubles = np.zeros((0, directions))
        self._quality: Doubles = np.zeros(0)
        self._vectors: list[dict[str, list[float]]] = []
        self._item_vectors = ItemVectors(settings.views, directions=directions, generator=generator.spawn(1)[0])
        # ages as if items had always been born at this rate
        self._add_items(-np.sort(generator.uniform(0, settings.items / settings.births_per_s, settings.items))[::-1])

    def __len__(self) -> int:
        """N, the number of items born so far."""
        return len(self.born_s)

    @property
    def tastes(self) -> Doubles:
        """The current tastes of users. [U, D]."""
        return self._lasting + self._mood

    def advance(self, to_s: float) -> Indexes:
        """Advance to the last whole second before `to_s`; returns the items born since."""
        first = len(self)
        while self.now_s + 1 <= to_s:
            self._drift()
            births = self._random.poisson(self.settings.births_per_s)
            self._add_items(np.sort(self._random.uniform(self.now_s, self.now_s + 1, births)))
            self.now_s += 1
        return np.arange(first, len(self))

    def chances(self, user: int, items: Indexes) -> Doubles:
        """Probability of a click on each item of a slate, in order of position. [C] -> [C], each in (0, 1)."""
        settings = self.settings
        styles = self._styles[items]  # [C, D]
        wanted = settings.taste * (styles @ self.tastes[user]) + settings.trend * (styles @ self.trend)
        fading = np.log(2.0) * np.maximum(self.now_s - self.born_s[items], 0.0) / settings.fade_s
        seen = settings.position * np.log2(np.arange(len(items)) + 1.0)
        return _sigmoid(settings.base + wanted + settings.quality * self._quality[items] - fading + seen)

    def react(self, user: int, items: Indexes, generator: Generator) -> list[Reaction]:
        """The clicks of a user on a slate, one after another. Users stay longer on items that they like more."""
        chances = self.chances(user, items)
        draws = generator.random((4, len(items)))
        price_log_ratio = np.log(self.prices[items] / self._usual_price[self.categories[items]])
        buys = _sigmoid(self.settings.purchase - price_log_ratio + self._quality[items])
        return [
            Reaction(
                position=position,
                after_s=1.0 + 0.3 * position + 1.5 * draws[1, position],
                dwell_s=float(
                    np.clip(np.exp(0.8 + 2.0 * chances[position] + 1.2 * (draws[2, position] - 0.5)), 1.0, 9.0)
                ),
                bought=bool(draws[3, position] < buys[position]),
            )
            for position in np.flatnonzero(draws[0] < chances).tolist()
        ]

    def record(self, item: int, *, begun_ms: int) -> Item:
        """The item as a catalogue record; `begun_ms` is the time at which the world's clock was 0."""
        return Item(
            item_id=item_name(item),
            category=f"c{self.categories[item]:02d}",
            seller=f"s{item % SELLERS}",
            price=round(float(self.prices[item]), 2),
            born_at=begun_ms + round(float(self.born_s[item]) * 1000),
            content=self._vectors[item],
        )

    def _drift(self) -> None:
        """One second of an Ornstein-Uhlenbeck process: moods and trend wander, their variance stays."""
        settings = self.settings
        decay = np.exp(-1 / settings.mood_s)
        spread = np.sqrt((1 - settings.lasting_share) * (1 - decay**2))
        self._mood = decay * self._mood + self._random.normal(0, spread, self._mood.shape)
        decay = np.exp(-1 / settings.trend_s)
        self.trend = decay * self.trend + self._random.normal(0, np.sqrt(1 - decay**2), self.trend.shape)

    def _add_items(self, born_s: Doubles) -> None:
        """Add items born at these times. [B]."""
        random, share = self._random, self.settings.category_share
        categories = random.integers(self.settings.categories, size=len(born_s))
        own = _units(random, len(born_s), self.settings.directions)
        styles = np.sqrt(share) * self._centres[categories] + np.sqrt(1 - share) * own  # [B, D]
        self.categories = np.concatenate([self.categories, categories])
        self.prices = np.concatenate([self.prices, self._usual_price[categories] * random.lognormal(0, 0.4, len(own))])
        self.born_s = np.concatenate([self.born_s, born_s])
        self._styles = np.concatenate([self._styles, styles])
        self._quality = np.concatenate([self._quality, random.normal(0, 1, len(own))])
        self._vectors += self._item_vectors.draw(styles)


def item_name(item: int) -> str:
    """The id of an item."""
    return f"i{item:06d}"


def item_number(name: str) -> int:
    """The number of the item with this id."""
    return int(name[1:])


def user_name(user: int) -> str:
    """The id of a user."""
    return f"u{user:05d}"


def country_of(user: int) -> str:
    """The country of a user; it is independent of taste."""
    return COUNTRIES[user % len(COUNTRIES)]


def _units(generator: Generator, count: int, directions: int) -> Doubles:
    """Unit vectors in random directions. [count, D]."""
    drawn = generator.normal(0, 1, (count, directions))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _sigmoid(logits: Doubles) -> Doubles:
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
