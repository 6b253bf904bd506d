"""`headrace models export`: write the ranker of the newest snapshot as a file for other runtimes."""

import logging
import sys
from pathlib import Path
from typing import Literal

from headrace.errors import UsageProblem
from headrace.layout import Layout
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.models.ranker.arrays import unflatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.onnx_export import to_onnx
from headrace.schemas.defaults import LIVE_MODEL
from headrace.store.snapshot_files import snapshots_of


def export(*, format: Literal["onnx"] = "onnx", output: Path | None = None) -> None:
    """Export the ranker of the learner's newest snapshot for other runtimes (docs/onnx.md).

    Args:
        format: onnx is the only format.
        output: file to write; by default ranker-EPOCH.SEQ.onnx in the current folder.
    """
    snapshots = Snapshots(snapshots_of(Layout.here().snapshots, LIVE_MODEL))
    folder = snapshots.latest()
    if folder is None:
        message = f"{snapshots.folder} has no complete snapshot; the learner writes one every ten minutes of its clock"
        raise UsageProblem(message)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns about packages that are not needed here
    meta, arrays = load(folder)
    graph = to_onnx(RankerConfig.parse(meta.settings), unflatten(arrays).dense, version=f"{meta.epoch}.{meta.seq}")
    path = output or Path(f"{LIVE_MODEL}-{meta.epoch}.{meta.seq}.{format}")
    path.write_bytes(graph)
    sys.stdout.write(f"{path}: version {meta.epoch}.{meta.seq}, {len(graph)} bytes\n")
