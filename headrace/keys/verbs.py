"""`headrace keys …`: the verbs, by module path; each is imported when called."""

import cyclopts

VERBS = {
    "add": ("keys.key_file:add", "Make a key and print its token, once: only its hash is kept."),
    "list": ("keys.key_file:list_keys", "List the keys and what each may do."),
    "remove": ("keys.key_file:remove", "Remove a key; the API refuses its token about a second later."),
}
app = cyclopts.App(help="Make, list and remove the keys of the API.")
for _verb, (_target, _help) in VERBS.items():
    app.command(f"headrace.{_target}", name=_verb, help=_help)
