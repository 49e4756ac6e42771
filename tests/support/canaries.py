"""Values that stand for a lead's data and for secrets. None of them may show up where values have no business.

Tests put CANARY into fields, headers and passwords; `tests/conftest.py` looks for it in everything that a test wrote
to stdout and stderr, `tests/support/running.py` in the log, the metrics and the answers of each gateway.
"""

from __future__ import annotations

#: Lower case, so that it survives the normalising of addresses; letters only, so that it fits most fields.
CANARY = "kanarienvogel"
EMAIL = f"jane.{CANARY}@example.com"
PASSWORD = f"pass-{CANARY}-word"
