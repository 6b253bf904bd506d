"""`headrace features …`: the verbs of feature files and of their versions.

Each is named by where it lies, and imported when it is called: `validate` answers an editor and needs no Redis.
"""

import cyclopts

VERBS = {
    "validate": (
        "features.validate:validate",
        "Parse, resolve and type-check feature files; offline, all errors at once.",
    ),
    "test": ("features.run_tests:run_tests", "Run the test files beside the groups, on the oracle and on an engine."),
    "explain": (
        "features.explain:explain",
        "Say where a feature of the files comes from: columns, tiles or rows, SQL, keys.",
    ),
    "reference": ("features.reference:reference", "Write the reference of the feature language, as `make docs` does."),
    "list": (
        "features.versions:list_versions",
        "List the versions on the running stack: which answers, its job, its entities.",
    ),
    "plan": ("features.plan:plan", "Say what the files would change on the running stack, and write it for `apply`."),
    "apply": ("features.versions:apply", "Start the versions of a plan beside those that answer."),
    "backfill": ("features.versions:backfill", "Have a version read the log from further back, and wait until it has."),
    "diff": ("features.versions:diff", "Compare two versions of a group in the store."),
    "promote": ("features.versions:promote", "Have a version answer; refused where it reads otherwise than it should."),
    "rollback": ("features.versions:rollback", "Have the version answer that did so before."),
    "retire": ("features.versions:retire", "Stop a version that does not answer."),
    "gc": ("features.versions:gc", "Remove what retired versions have left: topics, keys, checkpoints."),
    "get": ("features.versions:get", "Read the features of one key from the running store, or as they were known."),
    "skew": ("features.skew:skew", "Hold the inputs that the newest exposures were scored with against the log."),
    "create-test": ("features.versions:create_test", "Print test cases made of the newest real events of a group."),
}
app = cyclopts.App(help="Validate, test, release and read feature groups.")
for _verb, (_place, _help) in VERBS.items():
    app.command(f"headrace.{_place}", name=_verb, help=_help)
