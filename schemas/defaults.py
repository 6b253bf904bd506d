"""Defaults that several processes must agree on; each takes them as a setting, none has a number of its own."""

LIVE_MODEL = "ranker"
"""The name of the model that the alias `live` answers with: the key of its versions on the log."""
WAIT_MS = 600_000
"""How long a slot waits for feedback before its open heads count as negative. The samples job closes slots by it, the
learner holds early positives by it."""
CORRECTION_MS = 3_600_000
"""How long after the wait a late positive still corrects its slot."""
HISTORY = 20
"""Items of a user's history, the newest first, that the ranker looks at and an exposure keeps."""
PSI_SHIFTED = 0.2
"""Population stability index above which a feature counts as shifted: `serving/alerts.yml` and `headrace train
--if-drift`."""
