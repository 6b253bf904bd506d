"""`headrace models …`: the verbs of a model's versions. Each is named by where it lies, and imported when called."""

import cyclopts

VERBS = {
    "history": ("log.model_versions:history", "List the versions on the log and the decisions taken, newest first."),
    "list": (
        "models.aliases:list_aliases",
        "List the aliases, whether live is frozen, and how the challenger does beside it.",
    ),
    "rollback": ("models.rollback:rollback", "Have an earlier version answer, and learning go on from it."),
    "freeze": ("models.rollback:freeze", "Keep live where it is; versions go on being published."),
    "unfreeze": ("models.rollback:unfreeze", "Let live follow again, and a learner that halted go on."),
    "export": ("models.export:export", "Write the ranker of the learner's newest snapshot for other runtimes."),
    "pin": ("models.aliases:pin", "Pin an alias to the version that is live."),
    "challenge": ("models.promotion:challenge", "Have serving score in live's shadow with a trained model."),
    "promote": ("models.promotion:promote", "Have a challenger become live, where it is not worse."),
}
app = cyclopts.App(help="Look at a model's versions, go back to one, freeze, pin; challenge live.")
for _verb, (_place, _help) in VERBS.items():
    app.command(f"headrace.{_place}", name=_verb, help=_help)
