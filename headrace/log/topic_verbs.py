"""`headrace topics …`: the verbs, by module path; each is imported when called."""

import cyclopts

VERBS = {
    "plan": ("log.topic_plan:plan", "Show the topics that are needed, and whether each exists as declared."),
    "apply": ("log.topic_plan:apply", "Create the topics that are missing."),
    "check": ("log.topic_plan:check", "Fail if a topic is missing or differs from its declaration."),
    "archive": ("archive.write:archive", "Append what is new on topics to Parquet files, by hour."),
    "export": ("log.topic_plan:export", "Print the topics as JSON, for those who create them by other means."),
}
app = cyclopts.App(help="Create the topics of an environment, compare them with their declaration, and archive them.")
for _verb, (_path, _help) in VERBS.items():
    app.command(f"headrace.{_path}", name=_verb, help=_help)
