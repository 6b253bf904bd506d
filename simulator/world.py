"""The synthetic world: who likes what, how that drifts, and what is born. Pure and seeded, without a clock.

It is a feed of news or short videos in fast forward: what such a feed goes through in a day or so, fashions that
turn and items that have their hour, passes here in minutes. A person's chance to click an item at a position is

    sigmoid(base + taste . style + trend . style + quality + fading + position)

with the weights of `WorldSettings`. Style is hidden; the category that everybody sees tells only a part of it.
Axes: U users, N items, D hidden directions, C items of a slate.
"""

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from models.array_types import Doubles, Indexes
from schemas.catalogue import Item
from simulator.item_vectors import View, Views

SELLERS = 300
COUNTRIES = ("dk", "ee", "fi", "no", "se")


class WorldSettings(Struct, frozen=True, kw_only=True):
    """How large the world is, how strong each influence on a click, how fast things move.

    The weights are standard deviations, in log-odds, of an influence over all users and items.

    Attributes:
        category_share: of an item's style that its category tells, as a share of the variance.
        base: log-odds of a click on an item of age 0 at the top, all influences at their mean.
        lasting_share: of the variance of a taste that never changes; the rest is mood.
        mood_s: time in which a mood forgets a factor e of itself; `trend_s` likewise, for the trend that all share.
        births_per_s: new items. `fade_s`: each time it passes, the odds of a click on an item halve.
        position: log-odds for each doubling of (position + 1).
        purchase: log-odds of a purchase after a click on an item of usual price.
        views: vectors that items come with; the ranker must declare the same modalities.
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
    views: tuple[View, ...] = ()


class Reaction(Struct, frozen=True, kw_only=True):
    """What a user does with one clicked item of a slate: its position, when, how long (s), and whether they buy."""

    position: int
    after_s: float
    dwell_s: float
    bought: bool


class World:
    """The state of the world at `now_s`, which only `advance` moves, second by second."""

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
        self._views = Views(settings.views, directions=directions, generator=generator.spawn(1)[0])
        # as many ages as the births of the past would have left
        self._bear(-np.sort(generator.uniform(0, settings.items / settings.births_per_s, settings.items))[::-1])

    def __len__(self) -> int:
        """N, items born so far."""
        return len(self.born_s)

    @property
    def tastes(self) -> Doubles:
        """What users like now. [U, D]."""
        return self._lasting + self._mood

    def advance(self, to_s: float) -> Indexes:
        """Let time pass up to the last whole second before `to_s`; returns the items born on the way."""
        first = len(self)
        while self.now_s + 1 <= to_s:
            self._drift()
            births = self._random.poisson(self.settings.births_per_s)
            self._bear(np.sort(self._random.uniform(self.now_s, self.now_s + 1, births)))
            self.now_s += 1
        return np.arange(first, len(self))

    def chances(self, user: int, items: Indexes) -> Doubles:
        """Chance of a click on each item of a slate, as shown from the top. [C] -> [C], each in (0, 1)."""
        settings = self.settings
        styles = self._styles[items]  # [C, D]
        wanted = settings.taste * (styles @ self.tastes[user]) + settings.trend * (styles @ self.trend)
        fading = np.log(2.0) * np.maximum(self.now_s - self.born_s[items], 0.0) / settings.fade_s
        seen = settings.position * np.log2(np.arange(len(items)) + 1.0)
        return _sigmoid(settings.base + wanted + settings.quality * self._quality[items] - fading + seen)

    def react(self, user: int, items: Indexes, generator: Generator) -> list[Reaction]:
        """What the user does with a slate. Clicks come one after another; who liked more stays longer."""
        chances = self.chances(user, items)
        draws = generator.random((4, len(items)))
        dearness = np.log(self.prices[items] / self._usual_price[self.categories[items]])
        buys = _sigmoid(self.settings.purchase - dearness + self._quality[items])
        return [
            Reaction(
                position=place,
                after_s=1.0 + 0.3 * place + 1.5 * draws[1, place],
                dwell_s=float(np.clip(np.exp(0.8 + 2.0 * chances[place] + 1.2 * (draws[2, place] - 0.5)), 1.0, 9.0)),
                bought=bool(draws[3, place] < buys[place]),
            )
            for place in np.flatnonzero(draws[0] < chances).tolist()
        ]

    def record(self, item: int, *, begun_ms: int) -> Item:
        """The item as the catalogue has it; `begun_ms` is the time at which the world's clock stood at 0."""
        return Item(
            item_id=item_name(item),
            category=f"c{self.categories[item]:02d}",
            seller=f"s{item % SELLERS}",
            price=round(float(self.prices[item]), 2),
            born_at=begun_ms + round(float(self.born_s[item]) * 1000),
            content=self._vectors[item],
        )

    def _drift(self) -> None:
        """One second of an Ornstein-Uhlenbeck process: moods and trend wander, their spread stays."""
        settings = self.settings
        kept = np.exp(-1 / settings.mood_s)
        spread = np.sqrt((1 - settings.lasting_share) * (1 - kept**2))
        self._mood = kept * self._mood + self._random.normal(0, spread, self._mood.shape)
        kept = np.exp(-1 / settings.trend_s)
        self.trend = kept * self.trend + self._random.normal(0, np.sqrt(1 - kept**2), self.trend.shape)

    def _bear(self, born_s: Doubles) -> None:
        """Items born at these times. [B]."""
        random, share = self._random, self.settings.category_share
        categories = random.integers(self.settings.categories, size=len(born_s))
        own = _units(random, len(born_s), self.settings.directions)
        styles = np.sqrt(share) * self._centres[categories] + np.sqrt(1 - share) * own  # [B, D]
        self.categories = np.concatenate([self.categories, categories])
        self.prices = np.concatenate([self.prices, self._usual_price[categories] * random.lognormal(0, 0.4, len(own))])
        self.born_s = np.concatenate([self.born_s, born_s])
        self._styles = np.concatenate([self._styles, styles])
        self._quality = np.concatenate([self._quality, random.normal(0, 1, len(own))])
        self._vectors += self._views.see(styles)


def item_name(item: int) -> str:
    """An item's id."""
    return f"i{item:06d}"


def item_number(name: str) -> int:
    """The item that an id names."""
    return int(name[1:])


def user_name(user: int) -> str:
    """A user's id."""
    return f"u{user:05d}"


def country_of(user: int) -> str:
    """Where a user lives; it says nothing of their taste."""
    return COUNTRIES[user % len(COUNTRIES)]


def _units(generator: Generator, count: int, directions: int) -> Doubles:
    """Vectors of length 1 in random directions. [count, D]."""
    drawn = generator.normal(0, 1, (count, directions))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _sigmoid(logits: Doubles) -> Doubles:
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
