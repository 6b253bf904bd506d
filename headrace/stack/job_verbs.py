"""`headrace jobs …`: the verbs, by module path; each is imported when called."""

import cyclopts

VERBS = {
    "upgrade": ("stack.upgrade:upgrade", "Restart jobs with the installed release, each from a savepoint."),
    "rescale": ("stack.upgrade:rescale", "Restart a job with another number of subtasks, from a savepoint."),
    "stop": ("stack.upgrade:stop", "Stop a job of a cluster elsewhere with a savepoint, and say where it is."),
}
app = cyclopts.App(help="Upgrade, rescale and stop Flink jobs without losing their state.")
for _verb, (_target, _help) in VERBS.items():
    app.command(f"headrace.{_target}", name=_verb, help=_help)
