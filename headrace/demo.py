"""`headrace demo`: start a stack, simulate users on its API, and report the result."""

import asyncio
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import FrameType

import msgspec

from headrace.client import Client
from headrace.connections.redis_clients import connect
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.lang.planner.load import load_plan
from headrace.layout import PROJECT, STARTER, Endpoints, Layout, Pace
from headrace.schemas.defaults import CLICKSTREAM
from headrace.schemas.times import now_ms
from headrace.serving.settings import Config
from headrace.serving.state.experiment import POPULAR, Arm, Experiment
from headrace.simulator import report as reports
from headrace.simulator import run as plays
from headrace.simulator.probe import Probe
from headrace.simulator.progress import ProgressPrinter
from headrace.simulator.reconciliation import EndOffsets, LogReconciler, Reconciliation
from headrace.simulator.report import Report
from headrace.simulator.run import FROZEN, Address, Measurements, SimulationRun, SimulationSettings
from headrace.stack import stack, welcome
from headrace.stack.stack import Say
from headrace.store.redis.reader import FeatureReader
from headrace.wait import wait_until

PACE = Pace(ingest_ms=300, wait_ms=6_000, correction_ms=60_000, cadence_s=10, snapshot_s=60)
_LEARNED_S = 300.0
_JUDGED_S = 60.0
_LEAST_MINUTES = 0.5
_LEAST_PAGES_PER_S = 3.0


def run(*, minutes: float, seed: int, headless: bool, report: Path | None, say: Say) -> int:
    """Run the demo; returns the exit code: 1 if the pipeline failed a check, whichever arm won.

    Raises:
        UsageProblem: too short to measure anything, or the report's folder does not exist.
        EnvironmentProblem: a part of the stack did not start or did not catch up; the message names its log.
    """
    if minutes < _LEAST_MINUTES:
        message = (
            f"--minutes is {minutes:g}; a version comes every {PACE.cadence_s} s, so give at least {_LEAST_MINUTES}"
        )
        raise UsageProblem(message)
    if report and not report.absolute().parent.is_dir():
        message = f"--report is {report}; there is no folder {report.absolute().parent}"
        raise UsageProblem(message)
    settings = SimulationSettings(
        seed=seed, duration_s=minutes * 60, wait_ms=PACE.wait_ms, cadence_ms=PACE.cadence_s * 1000
    )
    result = run_on_clean_stack(settings, headless=headless, say=say)
    if report:
        report.write_bytes(reports.encode(result))
        say(f"report written to {report}")
    for text in reports.format_report(result):
        say(text)
    faults = result.faults()
    for fault in faults:
        say(f"failed check: {fault}")
    return 1 if faults else 0


def run_on_clean_stack(settings: SimulationSettings, *, headless: bool, say: Say) -> Report:
    """Run the demo on a fresh stack and stop it afterwards; after a failure the logs stay."""
    layout = Layout(PROJECT / ".headrace" / "demo", project=STARTER)
    _handle_signals(_interrupt_once)
    stack.stop(layout, wipe=True)
    good = False
    try:
        result = perform(layout, settings, headless=headless, say=say)
        good = not result.faults()
    finally:
        _handle_signals(signal.SIG_IGN)
        with suppress(OSError):  # nobody may be reading any more
            say(
                "stopping the stack, which takes up to a minute" + ("" if good else f"; the logs stay in {layout.logs}")
            )
        stack.stop(layout, wipe=good)
    return result


def _interrupt_once(_number: int, _frame: object) -> None:
    """End the demo as Ctrl-C does, once: people press it twice, `make` repeats a SIGTERM, and the stack must stop."""
    _handle_signals(signal.SIG_IGN)
    raise KeyboardInterrupt


def _handle_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def perform(layout: Layout, settings: SimulationSettings, *, headless: bool, say: Say) -> Report:
    """Start the stack in an empty folder, run the simulation and return the report."""
    say(f"settings that differ from the defaults: {changed_settings(PACE)}; three arms share the users")
    simulation = SimulationRun(settings, load_plan(layout.features))
    begun_s = time.monotonic()
    endpoints = prepare(layout, simulation, say)
    if not headless:
        say(f"{welcome.addresses(endpoints)}\nThese addresses work until the demo ends.")
    warm_up_s = time.monotonic() - begun_s
    return measure(layout, endpoints, simulation=simulation, warm_up_s=warm_up_s, say=say)


def changed_settings(pace: Pace) -> str:
    """List the settings that differ from the defaults; `tests/integration/test_defaults.py` runs the defaults.

    >>> changed_settings(Pace(cadence_s=10))
    'cadence_s 10 (default 60)'
    """
    defaults = Pace()
    return ", ".join(
        f"{name} {getattr(pace, name)} (default {getattr(defaults, name)})"
        for name in Pace.__struct_fields__
        if getattr(pace, name) != getattr(defaults, name)
    )


def measure(layout: Layout, endpoints: Endpoints, *, simulation: SimulationRun, warm_up_s: float, say: Say) -> Report:
    """Run the live load, measured by the probe, the progress printer and the log reconciler."""
    knee_per_s = measure_knee(endpoints, simulation, say)
    pages_per_s = min(knee_per_s / 2, simulation.settings.pages_per_s)
    say(f"live load of {pages_per_s:.1f} slates/s for {simulation.settings.duration_s:.0f} s")
    reconciler = LogReconciler(endpoints.bootstrap, simulation.plan.source(CLICKSTREAM))
    reconciler.begin()
    reader = FeatureReader(connect(endpoints.redis_url))
    probe = Probe(
        endpoints.api_url, endpoints.token, reader=reader, plan=simulation.plan, bootstrap=endpoints.bootstrap
    )
    traffic, clients = simulation.live_load(address(endpoints), pages_per_s=pages_per_s)
    progress = ProgressPrinter(traffic, clients.api, probe=probe, memory_mb=lambda: stack.memory_mb(layout), say=say)
    begun_ms, rejected = now_ms(), sum(probe.models().rejected.values())
    probe.start()
    progress.start()
    try:
        asyncio.run(plays.run_load(traffic, clients.api))
        models = probe.models()
    finally:
        progress.stop()
        probe.stop()
    end = reconciler.end_offsets()
    reconciliation, judged = settle(reconciler, end)
    measured = Measurements(
        traffic=traffic,
        clients=clients,
        probe=probe,
        knee_per_s=knee_per_s,
        pages_per_s=pages_per_s,
        reconciliation=reconciliation,
        judged=judged,
        published=reconciler.count_published(end),
        rejected=sum(models.rejected.values()) - rejected,
        begun_ms=begun_ms,
        warm_up_s=warm_up_s,
        peak_mb=progress.peak_mb,
    )
    return plays.build_report(simulation, measured, models)


def measure_knee(endpoints: Endpoints, simulation: SimulationRun, say: Say) -> float:
    """How many slates a second the machine answers in time next to the pipeline.

    Raises:
        EnvironmentProblem: too few for three arms.
    """
    say("users come faster and faster, to find how many slates the machine can make next to the pipeline")
    reconciler = LogReconciler(endpoints.bootstrap, simulation.plan.source(CLICKSTREAM))
    reconciler.begin()
    knee_per_s = simulation.measure_knee(address(endpoints))
    say(f"the machine kept up with {knee_per_s:.1f} slates/s; the load is half of that at most")
    if knee_per_s / 2 < _LEAST_PAGES_PER_S:
        message = (
            f"This machine makes {knee_per_s:.1f} slates a second next to the pipeline. To compare three arms the demo "
            f"needs {2 * _LEAST_PAGES_PER_S:g}. Stop other programs and try again, or use a machine with more cores."
        )
        raise EnvironmentProblem(message)
    settle(reconciler, reconciler.end_offsets())  # what is on its way would be counted as the load's
    return knee_per_s


def prepare(layout: Layout, simulation: SimulationRun, say: Say) -> Endpoints:
    """Start the stack, have it learn the history, and pin the frozen version."""
    layout.home.mkdir(parents=True, exist_ok=True)
    layout.serving_file.write_bytes(msgspec.json.encode(Config(experiment=arms(simulation.settings.seed))))
    say("starting Kafka, Flink and Redis; simulating the history meanwhile")
    with ThreadPoolExecutor(1) as executor:
        # no serving yet: its ticks carry the present time and would close every slot of the history at once
        start = executor.submit(stack.start_pipeline, layout, say=say, pace=PACE)
        history = simulation.warm_up()
        endpoints = start.result()
    say(f"sending {simulation.exposures} exposures of history through the pipeline")
    simulation.write_history(history, endpoints.bootstrap)
    del history
    stack.up(layout, say=say, pace=PACE)
    with client(endpoints) as api:
        hint = f"Look into {layout.logs}."
        learned = "a model that has learned the history"
        wait_until(lambda: simulation.has_learned(api.list_models()), what=learned, deadline_s=_LEARNED_S, hint=hint)
        wait_until(
            lambda: simulation.has_features(api), what="the history's features", deadline_s=_LEARNED_S, hint=hint
        )
        pin(simulation, api, hint)
    return endpoints


def pin(simulation: SimulationRun, api: Client, hint: str) -> None:
    """Pin the version in service as the frozen arm's."""
    version = api.pin_alias(FROZEN, why="the demo's frozen arm").version

    def is_pinned() -> bool:
        """Whether the worker that answers has it: each reads the state on its own."""
        models = api.list_models()
        simulation.frozen = next((each for each in models.history if each.version == version), None)
        return simulation.frozen is not None and any(alias.alias == FROZEN for alias in models.aliases)

    wait_until(is_pinned, what="the frozen version in service", deadline_s=30, hint=hint)


def settle(reconciler: LogReconciler, end: EndOffsets) -> tuple[Reconciliation, bool]:
    """Wait up to a minute for ingest to judge everything up to `end`; returns the reconciliation and whether it has."""
    reconciliation = Reconciliation(events=0, clean=0, dead={}, last_offsets={})

    def judged() -> bool:
        nonlocal reconciliation
        reconciliation = reconciler.reconcile(end)
        return reconciler.is_complete(reconciliation, end)

    try:
        wait_until(judged, what="ingest past the last event", deadline_s=_JUDGED_S, hint="Look into its log.")
    except EnvironmentProblem:
        return reconciliation, False
    return reconciliation, True


def arms(seed: int) -> Experiment:
    """Give each arm a third of the users; the seed decides who is in which."""
    policies = {"online": "model:live", "frozen": f"model:{FROZEN}", "popular": POPULAR}
    third = 1 / len(policies)
    return Experiment(
        name="demo",
        salt=f"demo-{seed}",
        arms=[Arm(name=name, share=third, policy=policy) for name, policy in policies.items()],
    )


def client(endpoints: Endpoints) -> Client:
    """Client of the stack's API."""
    return Client(endpoints.api_url, endpoints.token)


def address(endpoints: Endpoints) -> Address:
    """Addresses of the stack, as the simulator takes them."""
    return Address(url=endpoints.api_url, token=endpoints.token, bootstrap=endpoints.bootstrap)
