"""The metrics there are: name, kind, help and labels of each. docs/metrics.md explains them; a test compares the two.

Names follow Prometheus' rules (base units, `_total` for counters) and are public: add, do not rename.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its full name, kind, help text and label names."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


SUBMISSIONS = Family(
    "gateway_submissions_total",
    "counter",
    "Submissions answered, by the reason of the answer.",
    ("program", "partner", "reason"),
)
DURATION = Family(
    "gateway_request_duration_seconds", "histogram", "First byte of a request to its answer.", ("program",)
)
OVERHEAD = Family(
    "gateway_overhead_seconds", "histogram", "The same without the time spent on the upstream.", ("program",)
)
UPSTREAM = Family(
    "gateway_upstream_duration_seconds",
    "histogram",
    "Start of connecting to the end of the legacy answer, or to giving it up.",
    ("program",),
)
ANSWERS = Family(
    "gateway_answers_total",
    "counter",
    "Legacy answers read, by kind of content and the rule that decided.",
    ("program", "kind", "rule"),
)
FAULTS = Family(
    "gateway_faults_total", "counter", "Broken rules of leads, by field.", ("program", "field", "fault", "mode")
)
DELIVERY = Family(
    "gateway_delivery_total",
    "counter",
    "Submissions, by how far the lead got and what became of it.",
    ("program", "delivery", "outcome"),
)
LATE = Family(
    "gateway_late_answers_total",
    "counter",
    "Legacy answers that came after the partner was told outcome_unknown, or were given up.",
    ("program", "verdict"),
)
SURPLUS = Family("gateway_surplus_answers_total", "counter", "Legacy answers with bytes after their end.", ("program",))
MAPPED = Family(
    "gateway_mapped_ids_total", "counter", "Legacy IDs that did not fit and were shown as a hash.", ("program",)
)
REPEATED = Family(
    "gateway_repeated_ids_total", "counter", "Legacy IDs that were given to two different leads.", ("program",)
)
QUERY = Family(
    "gateway_ignored_queries_total", "counter", "Requests with parameters in the URL, which are ignored.", ("program",)
)
IN_FLIGHT = Family("gateway_in_flight", "gauge", "Submissions being worked on.", ("program",))
CIRCUIT = Family(
    "gateway_circuit_state",
    "gauge",
    "What the circuit breaker before the legacy endpoint does: 0 closed, 1 half-open, 2 open.",
    ("program",),
)
UNKNOWN = Family(
    "gateway_unknown_outcomes", "gauge", "Submissions in the journal whose outcome is not known yet.", ("program",)
)
UNKNOWN_OLDEST = Family(
    "gateway_unknown_outcome_oldest_timestamp_seconds", "gauge", "When the oldest of them was received.", ("program",)
)
COMMIT = Family("gateway_journal_commit_seconds", "histogram", "One durable transaction of the journal.")
JOURNAL_EVENTS = Family(
    "gateway_journal_events_total", "counter", "What happened to the journal, by the word of its log line.", ("event",)
)
JOURNAL_UP = Family("gateway_journal_up", "gauge", "1 while submissions can be begun, 0 while the store is away.")
AUTH = Family("gateway_auth_total", "counter", "Credentials looked at, by what was found.", ("result",))
CONNECTIONS = Family("gateway_connections", "gauge", "Open connections of partners.")
LOOP_LAG = Family("gateway_event_loop_lag_seconds", "histogram", "How late a timer of the event loop fires.")
LOG_DROPPED = Family("gateway_log_lines_dropped_total", "counter", "Log lines lost because nobody took them in time.")
CONFIGURED = Family(
    "gateway_config_last_success_timestamp_seconds", "gauge", "When the configuration in use was loaded."
)
BUILD = Family("gateway_build_info", "gauge", "What is running; always 1.", ("version", "python", "aiohttp"))

#: Every metric of ours, in the order in which they are shown.
FAMILIES = (
    SUBMISSIONS,
    DURATION,
    OVERHEAD,
    UPSTREAM,
    ANSWERS,
    FAULTS,
    DELIVERY,
    LATE,
    SURPLUS,
    MAPPED,
    REPEATED,
    QUERY,
    IN_FLIGHT,
    CIRCUIT,
    UNKNOWN,
    UNKNOWN_OLDEST,
    COMMIT,
    JOURNAL_EVENTS,
    JOURNAL_UP,
    AUTH,
    CONNECTIONS,
    LOOP_LAG,
    LOG_DROPPED,
    CONFIGURED,
    BUILD,
)
