"""Item features as arrays, and lists of hot items, which requests gather from."""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles, Flags, Ids, Indexes
from headrace.serving.state import catalogue as catalogues
from headrace.serving.state import tag_lists
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.columns import SHIPPED_COLUMNS, Columns, filled
from headrace.serving.state.tag_lists import TagLists

FEW_IMPRESSIONS = 50  # with fewer an item counts as hardly shown, and exploration draws it more often
_HOT = 300
_HOT_A_CATEGORY = 50


class ItemFeatures(Struct, frozen=True, kw_only=True):
    """The features of N items, by ascending id.

    Attributes:
        version: the version of each group they were read from, by name.
        values: [N, K], see `serving.state.columns`; NaN if the store has nothing about the item.
        read_at: the time that the values are of, ms; 0 before the first.
        columns: the meaning of K.
        hot: ids by falling heat; `hot_in`: the same, by category. `lasting`: ids by falling clicks of a week.
        by_tag: ids by falling clicks ever, by tag.
    """

    version: dict[str, int]
    ids: Ids
    values: Doubles
    read_at: int
    hot: Ids
    hot_in: dict[str, Ids]
    lasting: Ids
    by_tag: TagLists
    columns: Columns = SHIPPED_COLUMNS

    @classmethod
    def empty(cls, columns: Columns = SHIPPED_COLUMNS) -> "ItemFeatures":
        """Before any were read."""
        return build(catalogues.build([]), columns.blank(0), version={}, read_at=0, columns=columns)

    @property
    def known(self) -> bool:
        """Whether any were read."""
        return self.read_at > 0

    def gather(self, ids: Ids) -> Doubles:
        """Rows of `ids` [C] -> [C, K]; blank for items that were not in the catalogue then."""
        out = self.columns.blank(len(ids))
        if len(self.ids):
            indexes = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
            known = self.ids[indexes] == ids
            out[known] = self.values[indexes[known]]
        return out

    def column(self, ids: Ids, name: str) -> Doubles:
        """One column of `columns` for `ids` [C] -> [C]; NaN for items that were not in the catalogue then."""
        out = np.full(len(ids), np.nan)
        if len(self.ids):
            indexes = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
            known = self.ids[indexes] == ids
            out[known] = self.columns.column(self.values, name)[indexes[known]]
        return out

    def hardly_shown(self, ids: Ids) -> Flags:
        """Which items have hardly been shown in the last day. [C] -> [C]."""
        if not len(self.ids):
            return np.ones(len(ids), np.bool_)
        indexes = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        return (self.ids[indexes] != ids) | ~(
            self.columns.column(self.values, self.columns.inputs.reads.seen)[indexes] >= FEW_IMPRESSIONS
        )


def build(
    catalogue: Catalogue, values: Doubles, *, version: dict[str, int], read_at: int, columns: Columns = SHIPPED_COLUMNS
) -> ItemFeatures:
    """Features of the catalogue's items. values [N, K]."""
    order = _falling(heat_of(values, columns), catalogue)
    by_category = order[np.argsort(catalogue.codes[order], kind="stable")]
    starts = catalogue.codes[by_category].searchsorted(np.arange(len(catalogue.category_names) + 1))
    hot_in = {
        name: catalogue.ids[by_category[starts[code] : starts[code + 1]][:_HOT_A_CATEGORY]]
        for code, name in enumerate(catalogue.category_names)
    }
    lasting = np.nan_to_num(columns.column(values, columns.inputs.reads.lasting))
    return ItemFeatures(
        version=version,
        ids=catalogue.ids,
        values=values,
        read_at=read_at,
        hot=catalogue.ids[order[:_HOT]],
        hot_in=hot_in,
        lasting=catalogue.ids[_falling(lasting, catalogue)[:_HOT]],
        by_tag=tag_lists.build(catalogue, filled(columns.column(values, columns.inputs.reads.clicks), 0.0)),
        columns=columns,
    )


def heat_of(rows: Doubles, columns: Columns) -> Doubles:
    """Decayed popularity. [C, K] -> [C], 0 if unknown."""
    return filled(columns.column(rows, columns.inputs.reads.heat), 0.0)


def over_clicks(strength: Doubles, clicks: Doubles) -> Doubles:
    """Strengths [C] over the root of the items' clicks [C]: popular items are neighbours of everything."""
    return strength / np.sqrt(1 + filled(clicks, 0.0))


def _falling(heat: Doubles, catalogue: Catalogue) -> Indexes:
    """The order by falling heat, then the younger first, then by id."""
    return np.lexsort((catalogue.ids, -catalogue.born_at, -heat))
