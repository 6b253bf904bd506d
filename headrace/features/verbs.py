"""`headrace features …`: the verbs for feature files and their versions.

Each is imported only when it is called: `validate` must answer an editor quickly and needs no Redis.
"""

import cyclopts

VERBS = {
    "validate": (
        "features.validate:validate",
        "Parse, resolve and type-check feature files. Offline; reports all errors at once.",
    ),
    "test": ("features.run_tests:run_tests", "Run the test files of the groups, on the oracle and on an engine."),
    "explain": (
        "features.explain:explain",
        "Show where a feature comes from: columns, tiles or rows, SQL, keys.",
    ),
    "reference": ("features.reference:reference", "Write the reference of the feature language, as `make docs` does."),
    "seed": (
        "features.versions:seed",
        "Register the files' groups on an environment that has no versions yet, and create their topics.",
    ),
    "list": (
        "features.versions:list_versions",
        "List the versions on the running stack: which one answers, its job, its entities.",
    ),
    "plan": ("features.plan:plan", "Show what the files would change on the running stack, and save it for `apply`."),
    "apply": ("features.versions:apply", "Start the planned versions alongside those that answer."),
    "backfill": (
        "features.versions:backfill",
        "Let a version read the log from further back, and wait until it is done.",
    ),
    "diff": ("features.versions:diff", "Compare two versions of a group in the store."),
    "promote": (
        "features.versions:promote",
        "Let a version answer. Refused if it reads differently where it should not.",
    ),
    "rollback": ("features.versions:rollback", "Let the previous version answer again."),
    "retire": ("features.versions:retire", "Stop a version that does not answer."),
    "gc": ("features.versions:gc", "Remove what retired versions left behind: topics, keys, checkpoints."),
    "get": (
        "features.versions:get",
        "Read the features of one key from the running store, or as they were at a past time.",
    ),
    "skew": ("features.skew:skew", "Compare the inputs of the newest exposures with those recomputed from the log."),
    "create-test": ("features.versions:create_test", "Print test cases made from the newest real events of a group."),
}
app = cyclopts.App(help="Validate, test, release and read feature groups.")
for _verb, (_target, _help) in VERBS.items():
    app.command(f"headrace.{_target}", name=_verb, help=_help)
