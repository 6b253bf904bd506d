"""`headrace evaluate` and `headrace inspect`: a log of another system, read and predicted in process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cyclopts

from headrace.evaluation import inspection, log, run
from headrace.evaluation.outputs import Outputs
from headrace.layout import FEATURES, STARTER


@cyclopts.Parameter(name="*")
@dataclass(frozen=True)
class EvaluationOptions:
    """The parts of the log, the seed and the features of an evaluation.

    Attributes:
        from_fraction: score rows after this share of the log.
        freeze_after: after this share of the log, compare with a copy of the model that stops learning.
        lag: also score models that are this many seconds of log time old, on fresh features; separated by commas.
        seed: seed of the initial weights.
        features: folder of the feature files and of model.toml; by default the project's.
        without: evaluate a second time without these groups, separated by commas, and print what is lost.
    """

    from_fraction: float = 0.3
    freeze_after: float = 0.3
    lag: str = ""
    seed: int = 0
    features: Path | None = None
    without: str = ""


EVALUATION = EvaluationOptions()


def evaluate(
    file: Path,
    *,
    columns: Annotated[str, cyclopts.Parameter(name="--map")],
    task: Literal["ctr", "rank", "next"] = "ctr",
    item_features: str = "",
    items: Path | None = None,
    item_map: str = "",
    top: str = "10,20",
    repeats: bool = False,
    how: EvaluationOptions = EVALUATION,
    json: Path | None = None,
    report: Path | None = None,
) -> None:
    """Evaluate the features, the ranker and the learner on your log: each row is predicted before it is learned.

    Args:
        file: delimited text, gzipped or not, or Parquet; `headrace inspect` proposes the columns.
        columns: user=…,item=…,time=…, label=… (of 0 and 1, or rating>=4) for ctr, optionally session=…,slate=…:
            header names or numbers from 1.
            Also engagement=…, converted=…: labels for other heads to learn from (docs/evaluate.md).
        task: ctr predicts a label of 0 or 1, rank the next item of a user, next the next item of a session.
        item_features: columns of the item that are known before the event, separated by commas.
        items: a file that describes the items, in the same formats as the log.
        item_map: columns of the items file: item=…, optionally title=…, categories=…, year=….
        top: the values of k in recall@k and similar metrics, separated by commas.
        repeats: for rank, also rank items that the user already had; next always does.
        how: the parts of the log, the seed, and the features.
        json: write the report to this file.
        report: write a page that explains the evaluation, with charts, to this file, as HTML.
    """
    settings = _evaluation(task, top=top, repeats=repeats, how=how)
    parsed = log.parse_columns(columns, _names(item_features), run.heads_of(settings.features))
    items_file, outputs = (items, item_map) if items else None, Outputs(json=json, report=report)
    run.command(file, settings, columns=parsed, items_file=items_file, outputs=outputs)


def _evaluation(
    task: Literal["ctr", "rank", "next"], *, top: str, repeats: bool, how: EvaluationOptions
) -> run.Settings:
    return run.Settings(
        task=task,
        from_share=how.from_fraction,
        freeze_share=how.freeze_after,
        seed=how.seed,
        tops=run.parse_numbers(top, "--top"),
        allow_repeats=repeats,
        lags_s=run.parse_numbers(how.lag, "--lag"),
        features=how.features or (FEATURES if FEATURES.is_dir() else STARTER / "features"),
        without=tuple(_names(how.without)),
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def inspect(file: Path, *, json: bool = False) -> None:
    """Report how a log is read, and propose the command that evaluates it.

    Args:
        file: a log in the formats of evaluate.
        json: print JSON.
    """
    inspection.command(file, json=json)
