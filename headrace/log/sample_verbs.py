"""`headrace samples …`: the verbs of the log of samples, by module path; each is imported when called."""

import cyclopts

VERBS = {
    "archive": ("log.archive:archive", "Write new samples from the log to Parquet files."),
    "restore": ("log.archive:restore", "Write an archive back to an empty log of samples."),
}
app = cyclopts.App(help="Keep samples for longer than their topic does.")
for _verb, (_path, _help) in VERBS.items():
    app.command(f"headrace.{_path}", name=_verb, help=_help)
