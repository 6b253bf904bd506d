"""Defaults that several processes must agree on. Each process takes them as a setting; none repeats the number."""

CLICKSTREAM = "clickstream"
"""The shipped source of topic `events`, which the simulator writes; a project may call its own otherwise."""
LIVE_MODEL = "ranker"
"""Name of the model behind the alias `live`: the key of its versions on the log."""
WAIT_MS = 600_000
"""How long a slot waits for feedback before its open heads count as negative. The samples job closes slots after it,
and the learner holds early positives for it."""
CORRECTION_MS = 3_600_000
"""How long after the wait a late positive still corrects its slot."""
HISTORY = 20
"""Items of a user's history, newest first, that the ranker reads and an exposure records."""
PSI_SHIFTED = 0.2
"""Population stability index above which a feature counts as shifted: `serving/alerts.yml` and `headrace train
--if-drift`."""
