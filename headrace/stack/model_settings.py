"""Settings of a stack's models: the device from the environment, the item vectors from `fusion.json`."""

import os

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Layout
from headrace.models.index.device import index_builder
from headrace.models.ranker.config import DEVICE_VARIABLE, FusionError, RankerConfig, load_ranker_config
from headrace.schemas.model.model_file import ModelFileError


def device() -> str:
    """The device that the environment names, the CPU by default.

    Raises:
        EnvironmentProblem: this machine does not have the device.
    """
    name = os.environ.get(DEVICE_VARIABLE, "cpu")
    try:
        index_builder(name)  # loads torch, which is slow, only for devices other than the CPU
    except ValueError as error:
        message = f"{DEVICE_VARIABLE}: {error}"
        raise EnvironmentProblem(message) from error
    return name


def ranker(layout: Layout) -> RankerConfig:
    """The ranker's settings: the inputs of the project's `model.toml`, and the vectors of the stack's `fusion.json`.

    Raises:
        UsageProblem: one of the files is not valid.
    """
    try:
        return load_ranker_config(layout.fusion_file if layout.fusion_file.exists() else None, layout.features)
    except (FusionError, ModelFileError) as error:
        raise UsageProblem(str(error)) from error
