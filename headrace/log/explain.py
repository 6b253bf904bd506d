"""`headrace explain`: why a slate was made, and whether its scores come out again, bit for bit."""

import sys
from pathlib import Path

import numpy as np
from rich.table import Table

from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.layout import FEATURES, Layout
from headrace.log.slates import SlateLog
from headrace.models.ranker.config import RankerConfig, load_ranker_config
from headrace.models.ranker.state import ModelState
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.exposures import Exposure
from headrace.schemas.model.heads import Heads
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EXPOSURES
from headrace.schemas.versions.aliases import FOLLOWING
from headrace.serving.offline.replayed_slate import NotReplayable, replay, replayable
from headrace.serving.settings import Config, read_config
from headrace.serving.stages.rules import Rules
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.model_at import VersionGone, model_at
from headrace.serving.versions.pins import Pins
from headrace.store.snapshot_files import complete, pins_of, snapshots_of
from headrace.timestamps import parse_end, utc

_INPUTS = 3  # the largest inputs of an item that are shown


def explain(request_id: str = "", *, user: str = "", at: str = "") -> int:
    """Show why a slate was made, and score it again from the log and the model's version; exit 1 if it differs.

    Args:
        request_id: the request, as in its answer. Or give a user.
        user: explain this user's last slate.
        at: their last slate up to this time (ISO 8601, UTC unless it names a zone, or milliseconds); default now. A
            time in whole seconds includes that second.
    """
    if bool(request_id) == bool(user) or (at and not user):
        given = " ".join(filter(None, (request_id, user and f"--user {user}", at and f"--at {at}"))) or "no slate"
        message = (
            f"{given} is given; give either the request or the user: headrace explain REQUEST_ID, or headrace explain "
            "--user ID [--at TIME]"
        )
        raise UsageProblem(message)
    layout = Layout.here()
    exposure = _find(layout, request_id=request_id, user=user, at_ms=parse_end(at) if at else now_ms())
    _show(exposure)
    return 0 if _replays(layout, exposure) else 1


def _find(layout: Layout, *, request_id: str, user: str, at_ms: int) -> Exposure:
    """The exposure of a request, or the last one of a user.

    Raises:
        UsageProblem: the log has none.
    """
    log = SlateLog(layout.endpoints().bootstrap)
    found = log.find(request_id) if request_id else log.find_last(user, at_ms)
    if found is None:
        what = f"request {request_id!r}" if request_id else f"user {user!r} up to {utc(at_ms)}"
        message = f"topic {EXPOSURES.name} has no slate of {what}; it keeps seven days"
        raise UsageProblem(message)
    return found


def _show(exposure: Exposure) -> None:
    out = screen()
    for name, text in (
        ("request", f"{exposure.request_id}, served {utc(exposure.received_at)} UTC, surface {exposure.surface}"),
        ("user", f"{exposure.user_id}, session {exposure.session_id or 'none'}, context {exposure.context or 'none'}"),
        ("history", ", ".join(exposure.history[:10]) or "none"),
        (
            "arm",
            f"{exposure.arm} ({exposure.policy}), model {exposure.model_version or 'none'}, level L{exposure.level}",
        ),
    ):
        out.print(f"{name:8} {text}", markup=False, highlight=False, soft_wrap=True)
    table = Table("", "item", "score", "click", "lift", "propensity", "why", "largest inputs", box=None, pad_edge=False)
    ranking = exposure.ranking
    for index, slot in enumerate(exposure.slots):
        table.add_row(
            str(slot.position),
            slot.item_id,
            f"{ranking.orders[index]:.4f}" if ranking else "",
            f"{slot.score:.4f}",
            f"{ranking.lifts[index]:.2f}" if ranking else "",
            f"{slot.propensity:.3f}",
            ranking.reasons[index] if ranking else ", ".join(slot.sources),
            _largest_inputs(slot.dense),
        )
    out.print(table)


def _largest_inputs(dense: bytes) -> str:
    names, values = load_ranker_config(None, FEATURES).inputs.dense, np.frombuffer(dense, "<f4")
    if len(values) != len(names):
        return ""
    order = np.argsort(-np.abs(values), kind="stable")[:_INPUTS]
    return ", ".join(f"{names[index]} {values[index]:+.2f}" for index in order.tolist())


def _replays(layout: Layout, exposure: Exposure) -> bool:
    """Score the slate again and report; True if nothing differs, or if there is nothing to score again."""
    config = load_ranker_config(layout.fusion_file if layout.fusion_file.exists() else None, FEATURES)
    try:
        replayable(exposure, config.inputs.feature_set)
        model = _model(layout, exposure, config)
        again = replay(exposure, model, blend_by=_rules(layout.serving_file, config.heads).blend)
    except NotReplayable as why:
        sys.stdout.write(f"not scored again: {why}\n")
        return True
    clicks = np.array([slot.score for slot in exposure.slots])
    orders = np.array(exposure.ranking.orders if exposure.ranking else [])
    for name, logged, computed in (("click", clicks, again.click), ("score", orders, again.order)):
        same = int((logged == computed.astype(np.float64)).sum())
        sys.stdout.write(
            f"{name} scored again by version {exposure.model_version}: {same} of {len(logged)} bit-equal\n"
        )
        if same < len(logged):
            sys.stdout.write("  rules of serving.json, or the machine's arithmetic, differ from those of then\n")
            return False
    return True


def _model(layout: Layout, exposure: Exposure, config: RankerConfig) -> ModelState:
    alias = exposure.policy.partition(":")[2]
    own = alias not in FOLLOWING and bool(complete(snapshots_of(layout.snapshots, alias)))
    name = alias if own else LIVE_MODEL
    endpoints = layout.endpoints()
    pinned = Pins(pins_of(layout.snapshots, name), config).load(exposure.model_version)
    if pinned is not None:
        return pinned[0]
    snapshots = snapshots_of(layout.snapshots, name)
    followed = FollowedModel(name=name, key=endpoints.model_key.encode(), snapshots=snapshots, config=config)
    try:
        return model_at(endpoints.bootstrap, followed, exposure.model_version, served_at=exposure.received_at)
    except VersionGone as gone:
        raise NotReplayable(str(gone)) from gone


def _rules(path: Path, heads: Heads) -> Rules:
    return (read_config(path, heads) if path.exists() else Config()).rules
