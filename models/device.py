"""Where torch computes: on the CPU, the same bits as ever, or on a CUDA GPU where one is asked for."""

# pyright: reportUnknownMemberType=false
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HOST = torch.device("cpu")


class DeviceError(ValueError):
    """The device asked for is not there."""


def parse_device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        DeviceError: it is none, or this machine has none such.
    """
    if name not in ("cpu", "cuda"):
        message = f"device is {name!r}; it is cpu, or cuda for an NVIDIA GPU"
        raise DeviceError(message)
    if name == "cuda" and not torch.cuda.is_available():
        message = (
            "device is 'cuda', and torch finds no GPU to use; see that nvidia-smi lists one and that torch is a CUDA "
            f"build (this one is {torch.__version__}), or say cpu"
        )
        raise DeviceError(message)
    return torch.device(name)


def to_device(values: NDArray[np.generic], device: torch.device) -> Tensor:
    """An array as a tensor there; on the CPU it shares the array's memory."""
    return torch.from_numpy(values).to(device)
