"""`headrace models …`: the verbs of a model's versions. Each is named by where it lies, and imported when called."""

import cyclopts

VERBS = {
    "history": ("log.model_versions:history", "List the versions on the log and the decisions taken, newest first."),
    "list": (
        "models.aliases:list_aliases",
        "List the aliases, whether live is frozen, and how the challenger compares.",
    ),
    "rollback": ("models.rollback:rollback", "Let an earlier version answer, and continue learning from it."),
    "freeze": ("models.rollback:freeze", "Keep the live version; new versions are still published."),
    "unfreeze": ("models.rollback:unfreeze", "Follow new versions again; a halted learner continues."),
    "export": ("models.export:export", "Export the ranker of the newest snapshot for other runtimes."),
    "pin": ("models.aliases:pin", "Pin an alias to the live version."),
    "challenge": ("models.promotion:challenge", "Let a trained model score the live slates in the shadow."),
    "promote": ("models.promotion:promote", "Make a challenger the live model, if it is not worse."),
}
app = cyclopts.App(help="Look at a model's versions, go back to one, freeze, pin; challenge live.")
for _verb, (_place, _help) in VERBS.items():
    app.command(f"headrace.{_place}", name=_verb, help=_help)
