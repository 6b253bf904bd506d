"""Item features as arrays, and the lists of what is hot: what the sweep leaves for requests to gather from."""

import numpy as np
from msgspec import Struct

from models.array_types import Doubles, Flags, Ids, Indexes
from serving.state import columns
from serving.state.catalogue import Catalogue

FEW_IMPRESSIONS = 50  # below it an item counts as hardly shown, and exploration looks at it more often
_HOT = 300
_HOT_A_CATEGORY = 50
HEAT, LASTING = "item_engagement.heat_6h", "item_popularity.clicks_7d"
SEEN, CLICKS = "item_engagement.imps_24h", "item_quality.clicks_ever"


class ItemFeatures(Struct, frozen=True, kw_only=True):
    """Finished features of N items, by ascending id.

    Attributes:
        version: of the groups they were read from, by name.
        values: [N, K], see `serving.state.columns`; NaN where the store has nothing of the item.
        swept_at: when the sweep began, ms; 0 before the first.
        hot: ids by falling heat; `hot_in` the same by category. `lasting`: by what a week's clicks have left.
    """

    version: dict[str, int]
    ids: Ids
    values: Doubles
    swept_at: int
    hot: Ids
    hot_in: dict[str, Ids]
    lasting: Ids

    @classmethod
    def empty(cls) -> "ItemFeatures":
        """Before the first sweep."""
        none = np.zeros(0, np.int64)
        return cls(version={}, ids=none, values=columns.blank(0), swept_at=0, hot=none, hot_in={}, lasting=none)

    @property
    def known(self) -> bool:
        """Whether a sweep has finished."""
        return self.swept_at > 0

    def gather(self, ids: Ids) -> Doubles:
        """Rows of `ids` [C] -> [C, K]; blank for items that the last sweep did not see."""
        out = columns.blank(len(ids))
        if len(self.ids):
            places = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
            known = self.ids[places] == ids
            out[known] = self.values[places[known]]
        return out

    def hardly_shown(self, ids: Ids) -> Flags:
        """Which items have hardly been shown in the last day. [C] -> [C]."""
        if not len(self.ids):
            return np.ones(len(ids), np.bool_)
        places = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        return (self.ids[places] != ids) | ~(columns.column(self.values, SEEN)[places] >= FEW_IMPRESSIONS)


def build(catalogue: Catalogue, values: Doubles, *, version: dict[str, int], swept_at: int) -> ItemFeatures:
    """Features of the catalogue's items. values [N, K]."""
    order = _falling(heat_of(values), catalogue)
    by_category = order[np.argsort(catalogue.codes[order], kind="stable")]
    starts = catalogue.codes[by_category].searchsorted(np.arange(len(catalogue.category_names) + 1))
    hot_in = {
        name: catalogue.ids[by_category[starts[code] : starts[code + 1]][:_HOT_A_CATEGORY]]
        for code, name in enumerate(catalogue.category_names)
    }
    return ItemFeatures(
        version=version,
        ids=catalogue.ids,
        values=values,
        swept_at=swept_at,
        hot=catalogue.ids[order[:_HOT]],
        hot_in=hot_in,
        lasting=catalogue.ids[_falling(np.nan_to_num(columns.column(values, LASTING)), catalogue)[:_HOT]],
    )


def heat_of(rows: Doubles) -> Doubles:
    """Decayed popularity. [C, K] -> [C], 0 where there is none."""
    return np.nan_to_num(columns.column(rows, HEAT))


def over_clicks(strength: Doubles, rows: Doubles) -> Doubles:
    """What goes with a history, over the root of the clicks it has ever had: what is popular goes with everything.

    strength [C], rows [C, K] -> [C].
    """
    return strength / np.sqrt(1 + np.nan_to_num(columns.column(rows, CLICKS)))


def _falling(heat: Doubles, catalogue: Catalogue) -> Indexes:
    """By falling heat, then the younger first, then by id."""
    return np.lexsort((catalogue.ids, -catalogue.born_at, -heat))
