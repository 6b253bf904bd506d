"""`headrace models …`: the verbs for a model's versions; each is imported only when it is called."""

import cyclopts

VERBS = {
    "history": ("log.model_versions:history", "List the versions on the log and the decisions taken, newest first."),
    "list": (
        "registry.aliases:list_aliases",
        "List the aliases, whether live is frozen, and how other models compare.",
    ),
    "rollback": ("registry.rollback:rollback", "Let an earlier version answer, and continue learning from it."),
    "freeze": ("registry.rollback:freeze", "Keep the live version; new versions are still published."),
    "unfreeze": ("registry.rollback:unfreeze", "Follow new versions again; a halted learner continues."),
    "export": ("registry.export:export", "Export the ranker of the newest snapshot for other runtimes."),
    "pin": ("registry.aliases:pin", "Pin an alias to the live version."),
    "challenge": ("registry.promotion:challenge", "Let a trained model score live's slates in its shadow."),
    "promote": ("registry.promotion:promote", "Make a challenger the live model, if it is not worse."),
}
app = cyclopts.App(help="List a model's versions, roll back, freeze, pin; challenge live and promote.")
for _verb, (_target, _help) in VERBS.items():
    app.command(f"headrace.{_target}", name=_verb, help=_help)
