"""`headrace models …`: the verbs of a model's versions. Each is named by where it lies, and imported when called."""

import cyclopts

VERBS = {
    "history": ("chain:history", "List the versions on the log and the decisions taken, newest first."),
    "list": (
        "aliases:list_aliases",
        "List the aliases, whether live is frozen, and how the challenger does beside it.",
    ),
    "rollback": ("retreat:rollback", "Have an earlier version answer, and learning go on from it."),
    "freeze": ("retreat:freeze", "Keep live where it is; versions go on being published."),
    "unfreeze": ("retreat:unfreeze", "Let live follow again, and a learner that halted go on."),
    "export": ("export:export", "Write the ranker of the learner's newest snapshot for other runtimes."),
    "pin": ("aliases:pin", "Pin an alias to the version that is live."),
    "challenge": ("challengers:challenge", "Have serving score in live's shadow with a trained model."),
    "promote": ("challengers:promote", "Have a challenger become live, where it is not worse."),
}
app = cyclopts.App(help="Look at a model's versions, go back to one, freeze, pin; challenge live.")
for _verb, (_place, _help) in VERBS.items():
    app.command(f"headrace.{_place}", name=_verb, help=_help)
