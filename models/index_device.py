"""The index for a device, chosen by name."""

from models.index import Build
from models.index_numpy import Nearest


def index_on(device: str) -> Build:
    """Makes indexes that are searched on a device; who stays on the CPU does without torch.

    Raises:
        ValueError: this machine has none such.
    """
    if device == "cpu":
        return Nearest
    from models.device import device_of
    from models.index_torch import Scan

    return Scan.on(device_of(device))
