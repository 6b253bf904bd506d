"""What may be told of items in vectors, and in which manner the ranker joins it."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Manner: TypeAlias = Literal["early", "gated", "late"]
TEXT = "text"
"""The modality that an item's own words stand in for."""


class Modality(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of vector that items may come with; `width` is how many numbers it has."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$")]
    width: Annotated[int, Meta(ge=1, le=4096)]


class Fusion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The modalities, in the order in which they lie in arrays and on the wire, and how they become one vector [D].

    Attributes:
        manner: `early` joins the vectors before one linear layer; `gated` has a layer each and weighs what they give
            by a softmax that sees them all; `late` lets each tell scores of its own, averaged over those present.
    """

    modalities: Annotated[tuple[Modality, ...], Meta(min_length=1, max_length=16)]
    manner: Manner = "late"

    def __post_init__(self) -> None:
        """See that a name stands for one modality."""
        names = [each.name for each in self.modalities]
        if len(set(names)) < len(names):
            message = f"modalities are {names}, each name must stand once; leave the second one out"
            raise ValueError(message)

    @property
    def width(self) -> int:
        """E, numbers of all modalities."""
        return sum(each.width for each in self.modalities)

    def spans(self) -> dict[str, slice]:
        """Where each modality's numbers lie among the E."""
        ends, found = 0, dict[str, slice]()
        for each in self.modalities:
            found[each.name] = slice(ends, ends + each.width)
            ends += each.width
        return found

    @property
    def pieces(self) -> int:
        """Vectors [D] that the ranker's joint input has more: the fused one and its product with the user's."""
        return 0 if self.manner == "late" else 2

    def shapes(self, dim: int, *, heads: int, vector: int) -> dict[str, tuple[int, ...]]:
        """Shape of every dense tensor of the fusion; `lift` leads from the numbers to the retrieval vectors."""
        count = len(self.modalities)
        seen = self.width + count  # vectors, then the flags of what is missing
        stand_in: dict[str, tuple[int, ...]] = {"stand_in": (self.width,), "lift": (self.width, vector)}
        if self.manner == "early":
            return {**stand_in, "fuse": (seen, dim), "fuse_bias": (dim,)}
        for each in self.modalities:
            stand_in |= {f"voice:{each.name}": (each.width, dim), f"voice_bias:{each.name}": (dim,)}
        if self.manner == "gated":
            return {**stand_in, "gate": (seen, count), "gate_bias": (count,)}
        heard = {f"opinion:{each.name}": (3 * dim, heads) for each in self.modalities}
        return {**stand_in, **heard, "opinion_lacking": (count, heads), "opinion_bias": (count, heads)}
