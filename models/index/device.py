"""Chooses the index for a device by name."""

from headrace.models.index.exact import NumpyIndex
from headrace.models.index.protocol import BuildIndex


def index_builder(device: str) -> BuildIndex:
    """Return the function that builds indexes on a device; the CPU needs no torch.

    Raises:
        ValueError: this machine has no such device.
    """
    if device == "cpu":
        return NumpyIndex
    from headrace.models.device import parse_device
    from headrace.models.index.torch_index import TorchIndex

    return TorchIndex.builder(parse_device(device))
