"""Which vectors items may carry, and how the ranker fuses them."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Manner: TypeAlias = Literal["early", "gated", "late"]
TEXT = "text"
"""The modality that an item's title and tags replace if its vector is missing."""


class Modality(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of item vector; `width` is the number of its components."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$")]
    width: Annotated[int, Meta(ge=1, le=4096)]


class Fusion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The modalities, in their order in arrays and on the wire, and how they are fused.

    Attributes:
        manner: `early` concatenates the vectors before one linear layer; `gated` has one layer per modality and weights
            their outputs by a softmax over all; `late` gives each modality its own scores and averages those present.
    """

    modalities: Annotated[tuple[Modality, ...], Meta(min_length=1, max_length=16)]
    manner: Manner = "late"

    def __post_init__(self) -> None:
        """Check that each name occurs once."""
        names = [each.name for each in self.modalities]
        if len(set(names)) < len(names):
            message = f"modalities are {names}, but each name may occur only once; remove the second one"
            raise ValueError(message)

    @property
    def width(self) -> int:
        """E, components of all modalities together."""
        return sum(each.width for each in self.modalities)

    def spans(self) -> dict[str, slice]:
        """Return each modality's span among the E components."""
        start, spans = 0, dict[str, slice]()
        for each in self.modalities:
            spans[each.name] = slice(start, start + each.width)
            start += each.width
        return spans

    @property
    def pieces(self) -> int:
        """Number of extra vectors [D] in the ranker's joint input: the fused one, and its product with the user's."""
        return 0 if self.manner == "late" else 2

    def shapes(self, dim: int, *, heads: int, vector: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every dense tensor of the fusion; `lift` maps the components to retrieval vectors."""
        count = len(self.modalities)
        inputs = self.width + count  # vectors, then the flags of missing modalities
        stand_in: dict[str, tuple[int, ...]] = {"stand_in": (self.width,), "lift": (self.width, vector)}
        if self.manner == "early":
            return {**stand_in, "fuse": (inputs, dim), "fuse_bias": (dim,)}
        for each in self.modalities:
            stand_in |= {f"voice:{each.name}": (each.width, dim), f"voice_bias:{each.name}": (dim,)}
        if self.manner == "gated":
            return {**stand_in, "gate": (inputs, count), "gate_bias": (count,)}
        opinions = {f"opinion:{each.name}": (3 * dim, heads) for each in self.modalities}
        return {**stand_in, **opinions, "opinion_lacking": (count, heads), "opinion_bias": (count, heads)}
