"""Exports the ranker as an ONNX graph, for other runtimes, from the function that the learner trains."""

# pyright: reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
import warnings

import onnx
import torch
from torch import Tensor, nn

from headrace.models.array_types import Floats
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.forward_torch import Rows, forward, from_numpy, to_predictions
from headrace.models.ranker.fusion_torch import Vectors

INPUTS = ("user", "past", "present", "items", "categories", "inputs")
VECTORS = ("content", "lacking")  # inputs of a model that declares modalities
OUTPUT = "predictions"


class SlateRanker(nn.Module):
    """Predicts for one user's candidates as if each were shown at the top."""

    def __init__(self, config: RankerConfig, dense: dict[str, Floats]) -> None:
        super().__init__()
        self._config = config
        for name, tensor in from_numpy(dense).items():
            self.register_buffer(name, tensor)

    def forward(self, *given: Tensor) -> Tensor:
        """Predict probabilities and seconds [C, H] from tensors in the order of INPUTS and VECTORS.

        These are rows [W], [L, D], flags [L], rows [C, W], [C, W], inputs [C, F]; numbers [C, E] and flags [C, M].
        """
        user, past, present, items, categories, inputs, *vectors = given
        count = items.shape[0]
        content, missing = vectors or (items[:, :0], items[:, :0])
        rows = Rows(
            user=user.expand(count, -1),
            item=items,
            category=categories,
            past=past.expand(count, -1, -1),
            present=present.expand(count, -1),
            vectors=Vectors(content, missing.to(content.dtype)),
        )
        outputs = forward(self._config, dict(self.named_buffers()), rows=rows, inputs=inputs)
        return to_predictions(self._config.heads, outputs)


def to_onnx(config: RankerConfig, dense: dict[str, Floats], *, version: str) -> bytes:
    """Export the graph and its weights, for any number of candidates and a fixed history of L slots.

    Its metadata name the version, and the schema, inputs and heads that a reader must share.
    """
    width, count = config.width, 3
    example = (
        torch.zeros(width),
        torch.zeros(config.history, config.dim),
        torch.ones(config.history, dtype=torch.bool),
        torch.zeros(count, width),
        torch.zeros(count, width),
        torch.zeros(count, len(config.inputs.dense)),
    )
    if config.modalities:
        numbers = sum(each.width for each in config.modalities)
        example += (torch.zeros(count, numbers), torch.zeros(count, len(config.modalities), dtype=torch.bool))
    candidates = {0: torch.export.Dim("candidates", min=1)}
    shapes = (None, None, None, *[candidates] * (len(example) - 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations among the exporter's own parts
        program = torch.onnx.export(
            SlateRanker(config, dense).eval(),
            example,
            input_names=(INPUTS + VECTORS)[: len(example)],
            output_names=(OUTPUT,),
            dynamic_shapes=(shapes,),  # one tuple: `forward` takes *given
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    properties = {
        "version": version,
        "schema": config.schema(),
        "dense_inputs": ",".join(config.inputs.dense),
        "heads": ",".join(config.heads.names),
    }
    onnx.helper.set_model_props(model, properties)
    return model.SerializeToString()
