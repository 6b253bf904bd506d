"""Stage 1: the user from the store.

One round trip reads the user's history and tastes. What is clicked after the newest items of that history needs
a second one, only where it was not read a moment ago for somebody else (serving/followers.py). Keeping histories
here instead would save that, but then two workers would answer one user differently.
"""

import numpy as np
import redis

from lang.plan import Plan
from models.inputs import USER_INPUTS
from serving.followers import Followers, Joint
from serving.query import Faults, Query, Taste, User, ids_of
from store.reader import FeatureReader, Values, Wanted

AFTER = 5  # newest different items of the history whose followers are asked for
_RECENT, _TASTE, _NEXT = "user_recent", "user_category", "item_next"
_NUMBERS = tuple(name for name in USER_INPUTS if name.startswith(f"{_RECENT}."))


class Hydrator:
    """Reads users. Raises nothing: a store that does not answer gives an unknown user at L3."""

    def __init__(self, reader: FeatureReader) -> None:
        self._reader = reader
        self._followers = Followers(reader)

    def hydrate(self, query: Query, plan: Plan, faults: Faults) -> User:
        """The user of a query at its time, by the versions of a plan."""
        try:
            wanted = [Wanted(plan.group(name), [query.user_id]) for name in (_RECENT, _TASTE)]
            recent, taste = self._reader.read(wanted, at_ms=query.at_ms)
            history = recent.merged.lists["recent_items"][0]
            newest = list(dict.fromkeys(history))[:AFTER]
            follow = self._followers.of(newest, group=plan.group(_NEXT), at_ms=query.at_ms)
        except redis.RedisError as error:
            faults.note(3, f"the feature store does not answer ({type(error).__name__}): no user state")
            return User.unknown()
        return _user(newest, recent, taste, follow)


def _user(newest: list[str], recent: Values, taste: Values, follow: Joint) -> User:
    history = recent.merged.lists["recent_items"][0]
    places = np.array([history.index(item) for item in newest], np.int64)
    numbers = {name: float(recent.merged.numbers[name.partition(".")[2]][0]) for name in _NUMBERS}
    columns = (taste.merged.numbers[name] for name in ("affinity", "skips_1h", "skips_24h"))
    tastes = {
        category: Taste(affinity=float(affinity), skips_1h=float(skips_1h), skips_24h=float(skips_24h))
        for (_, category), affinity, skips_1h, skips_24h in zip(taste.keys, *columns, strict=True)
    }
    numbers["user_category.affinity_total"] = sum(each.affinity for each in tastes.values())
    return User(
        history=history,
        history_ids=ids_of(history),
        numbers=numbers,
        tastes=tastes,
        top=[category for category, _ in taste.rollups["user_top_categories"][0]],
        next_ids=follow.ids,
        next_strength=follow.strength,
        after=places[follow.after],
    )
