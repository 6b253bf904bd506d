"""The index for a device, chosen by name."""

from models.index import BuildIndex
from models.index_numpy import NumpyIndex


def index_builder(device: str) -> BuildIndex:
    """Makes indexes that are searched on a device; who stays on the CPU does without torch.

    Raises:
        ValueError: this machine has none such.
    """
    if device == "cpu":
        return NumpyIndex
    from models.device import parse_device
    from models.index_torch import TorchIndex

    return TorchIndex.builder(parse_device(device))
