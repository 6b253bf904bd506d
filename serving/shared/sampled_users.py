"""Users for whom the feeder measures the index: known to the model, with histories of one category each."""

import numpy as np

from headrace.models.array_types import Floats
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.state.state import ServingState

_USERS = 32
_LONGEST = 5


def sample_users(state: ServingState, generator: np.random.Generator) -> Floats:
    """Return the vectors of random users [U, V] under the live model.

    The feeder sees no requests. A user is a row of the model's table, and has clicked one to five items of the category
    of a random item, so popular categories are drawn as often as they have items.
    """
    model, catalogue = state.models[LIVE].model, state.catalogue
    known = model.tables["user"].ids  # starts with 0, a visitor without a row
    found: list[Floats] = []
    for _ in range(_USERS):
        category = catalogue.codes[generator.integers(len(catalogue))]
        same = np.flatnonzero(catalogue.codes == category)
        history = catalogue.ids[generator.choice(same, generator.integers(1, _LONGEST + 1))]
        found.append(model.user_vector(int(generator.choice(known)), history))
    return np.array(found)
