"""The array types of the models.

Axes: B batch, C candidates, L history, D dim, E numbers in an item's vectors, F dense features, H heads, M modalities,
V retrieval vector, W row width.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int64]  # hash64 of string ids; 0 is "no id"
Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Indexes: TypeAlias = NDArray[np.int64]  # positions in another array
Flags: TypeAlias = NDArray[np.bool_]
