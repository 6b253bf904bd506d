"""What a stack's models are made with: the device of the environment, the vectors of `fusion.json`."""

import os

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Layout
from models.config import DEVICE_VARIABLE, FusionError, RankerConfig, load_ranker_config
from models.index_device import index_builder


def device() -> str:
    """The device that the environment asks for, the CPU if none.

    Raises:
        EnvironmentProblem: this machine has none such.
    """
    name = os.environ.get(DEVICE_VARIABLE, "cpu")
    try:
        index_builder(name)  # asks torch, which is slow to load, only where it is not the CPU
    except ValueError as error:
        message = f"{DEVICE_VARIABLE}: {error}"
        raise EnvironmentProblem(message) from error
    return name


def ranker(layout: Layout) -> RankerConfig:
    """The ranker's settings, with vectors where there is a `fusion.json` in the stack's folder.

    Raises:
        UsageProblem: it cannot be followed.
    """
    try:
        return load_ranker_config(layout.fusion_file if layout.fusion_file.exists() else None)
    except FusionError as error:
        raise UsageProblem(str(error)) from error
