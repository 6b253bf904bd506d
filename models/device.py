"""Where torch computes: on the CPU, which reproduces every bit, or on a CUDA GPU."""

# pyright: reportUnknownMemberType=false
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HOST = torch.device("cpu")


class DeviceError(ValueError):
    """The requested device does not exist."""


def parse_device(name: str) -> torch.device:
    """Return the device with this name.

    Raises:
        DeviceError: the name is not a device, or this machine does not have it.
    """
    if name not in ("cpu", "cuda"):
        message = f"device is {name!r}; say cpu, or cuda for an NVIDIA GPU"
        raise DeviceError(message)
    if name == "cuda" and not torch.cuda.is_available():
        message = (
            "device is 'cuda', but torch finds no GPU; check that nvidia-smi lists one and that torch is a CUDA "
            f"build (this one is {torch.__version__}), or say cpu"
        )
        raise DeviceError(message)
    return torch.device(name)


def to_device(values: NDArray[np.generic], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; on the CPU it shares the array's memory."""
    return torch.from_numpy(values).to(device)
