"""What is counted, and how it is shown to Prometheus (`families` has the names).

No label takes a value that a stranger can choose: partners are users of the password files, up to a limit; fields
and rules are configured ones; all else is a word of ours.

Counting is on the way of each lead, so the numbers are plain integers in dictionaries and lists (prometheus-client's
own counters take a lock and cost several times as much); the library renders them when somebody asks. Counting
belongs to the event loop's thread. Rendering may be done in any other: each set of numbers is copied in one step.
"""

from __future__ import annotations

import platform
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway import __version__
from gateway.observe import families
from gateway.observe.families import Family
from gateway.observe.words import FaultWords, ReasonWord, Word

#: The partner label of users beyond the limit.
OTHER = "other"

# Seconds. A submission ends by its deadline (8 s unless configured), so there are steps around that.
_LONG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 8.0, 10.0, 15.0, 30.0)
_SHORT = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# Rules have no mode of their own yet: all are enforced.
_MODE = "enforce"

_Labels = tuple[str, ...]
_Rows = Iterable[tuple[_Labels, float]]


class AtZero(NamedTuple):
    """What each program counts from 0 on, not from its first time: a counter that appears with 1 has not risen."""

    reasons: Iterable[ReasonWord]
    states: Iterable[tuple[Word, Word]]  # delivery, outcome


NOTHING_AT_ZERO = AtZero((), ())


class Histogram:
    """Counts by bucket. Each bucket's upper end belongs to it; beyond the last is one more."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class ProgramMetrics:
    """The numbers of one program, or ("") of requests that reached none."""

    __slots__ = (
        "_fields",
        "_partners",
        "_rules",
        "answers",
        "circuit_state",
        "deliveries",
        "duration",
        "faults",
        "ignored_queries",
        "in_flight",
        "late_answers",
        "mapped_ids",
        "name",
        "overhead",
        "repeated_ids",
        "submissions",
        "surplus_answers",
        "upstream",
    )

    def __init__(
        self, name: str, partners: Mapping[str, str], rules: Iterable[str], fields: Iterable[str], at_zero: AtZero
    ) -> None:
        """partners: user -> label. rules, fields: the configured names."""
        self.name = name
        self._partners = {"": "", **partners}
        self._rules, self._fields = frozenset(rules), frozenset(fields)
        #: Raised and lowered by the pipeline.
        self.in_flight = 0
        #: 0 closed, 1 half-open, 2 open; set at each change.
        self.circuit_state = 0
        #: Counted by whoever notices: `metrics.mapped_ids += 1`.
        self.surplus_answers = self.mapped_ids = self.repeated_ids = self.ignored_queries = 0
        reasons, states = at_zero if name else ((), ())
        self.submissions: dict[_Labels, int] = {
            (label, reason.slug): 0 for label in self._partners.values() for reason in reasons
        }
        # By the words themselves: their text is looked up when somebody asks.
        self.deliveries: dict[tuple[Word, Word], int] = dict.fromkeys(states, 0)
        self.answers: dict[_Labels, int] = {}
        self.faults: dict[_Labels, int] = {}
        self.late_answers: dict[_Labels, int] = {}
        self.duration, self.overhead, self.upstream = Histogram(_LONG), Histogram(_SHORT), Histogram(_LONG)

    def submission(
        self,
        partner: str,
        reason: ReasonWord,
        delivery: Word,
        outcome: Word,
        total_s: float,
        upstream_s: float | None = None,
        faults: Sequence[FaultWords] = (),
    ) -> None:
        """Count one submission at its end. partner: the user, "" before one is known. Times are seconds.

        upstream_s: the time spent on the upstream (`Exchange.total_s`); None or 0.0 when it was not tried.
        """
        key: _Labels = (self._partners.get(partner, OTHER), reason.slug)
        self.submissions[key] = self.submissions.get(key, 0) + 1
        state = (delivery, outcome)
        self.deliveries[state] = self.deliveries.get(state, 0) + 1
        self.duration.observe(total_s)
        if upstream_s:
            self.upstream.observe(upstream_s)
            total_s = max(total_s - upstream_s, 0.0)
        self.overhead.observe(total_s)
        for fault in faults:
            key = (fault.field if fault.field in self._fields else "", fault.kind, _MODE)
            self.faults[key] = self.faults.get(key, 0) + 1

    def answer(self, kind: str, rule: str) -> None:
        """Count one legacy answer that was read: `Reading.kind`, and the rule's name ("" when none matched)."""
        key = (kind, rule if rule in self._rules else "")
        self.answers[key] = self.answers.get(key, 0) + 1

    def late(self, verdict: str) -> None:
        """Count one answer that came after `outcome_unknown`: what it said, `unrecognized` when nothing, `given_up`
        when it is not waited for any longer.
        """
        self.late_answers[verdict,] = self.late_answers.get((verdict,), 0) + 1


class Metrics(Collector):
    """Everything that one process counts."""

    def __init__(
        self, *, partners: int, at_zero: AtZero = NOTHING_AT_ZERO, clock: Callable[[], float] = time.time
    ) -> None:
        """partners: users that get a label value of their own. clock: POSIX seconds."""
        self._at_zero = at_zero
        self._free_labels = partners
        self._labels: dict[str, str] = {}
        self._programs: dict[str, ProgramMetrics] = {}
        self._auth: dict[_Labels, int] = {}
        self._lag = Histogram(_SHORT)
        self._configured_at = clock()
        self._build = (__version__, platform.python_version(), version("aiohttp"))
        self._connections: Callable[[], int] = int
        self._log_dropped: Callable[[], int] = int
        self._unknown: Callable[[], Mapping[str, tuple[int, int]]] = dict
        self._commits = Histogram(_SHORT)
        self._journal_events: dict[_Labels, int] = {}
        #: Whether the store can be had, as far as the last commit tells.
        self.journal_up = True
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        #: For requests that reached no program.
        self.unrouted = self.program("")

    def program(
        self, name: str, *, users: Iterable[str] = (), rules: Iterable[str] = (), fields: Iterable[str] = ()
    ) -> ProgramMetrics:
        """The numbers of one program. users: in file order; over all programs, the first ones get a label value."""
        partners = {}
        for user in users:
            if user not in self._labels and self._free_labels > 0:
                self._free_labels -= 1
                self._labels[user] = user
            partners[user] = self._labels.get(user, OTHER)
        self._programs[name] = ProgramMetrics(name, partners, rules, fields, self._at_zero)
        return self._programs[name]

    def auth(self, result: str) -> None:
        """Count one credential that was looked at."""
        self._auth[result,] = self._auth.get((result,), 0) + 1

    def lag(self, late_s: float) -> None:
        """Count by how much a timer was late."""
        self._lag.observe(max(late_s, 0.0))

    def watch(
        self,
        *,
        connections: Callable[[], int] = int,
        log_dropped: Callable[[], int] = int,
        unknown: Callable[[], Mapping[str, tuple[int, int]]] = dict,
    ) -> None:
        """Where to read these numbers when somebody asks for them.

        unknown: program -> how many outcomes are not known, and when the oldest was received (POSIX milliseconds).
        """
        self._connections, self._log_dropped, self._unknown = connections, log_dropped, unknown

    def committed(self, seconds: float) -> None:
        """Count one durable transaction of the journal."""
        self._commits.observe(seconds)

    def journal(self, event: str) -> None:
        """Count something that happened to the journal: the word of its log line."""
        self._journal_events[event,] = self._journal_events.get((event,), 0) + 1

    def render(self, accept: str | None = None) -> tuple[bytes, str]:
        """The page for /metrics, in the format that an Accept header asks for, and its Content-Type."""
        encode, content_type = choose_encoder(accept or "")
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """All numbers as they are now."""
        yield _counter(families.SUBMISSIONS, self._each(lambda program: program.submissions))
        yield _histogram(families.DURATION, self._timings(lambda program: program.duration))
        yield _histogram(families.OVERHEAD, self._timings(lambda program: program.overhead))
        yield _histogram(families.UPSTREAM, self._timings(lambda program: program.upstream))
        yield _counter(families.ANSWERS, self._each(lambda program: program.answers))
        yield _counter(families.FAULTS, self._each(lambda program: program.faults))
        yield _counter(families.DELIVERY, self._each(_delivered))
        yield _counter(families.LATE, self._each(lambda program: program.late_answers))
        yield _counter(families.SURPLUS, self._each(lambda program: {(): program.surplus_answers}))
        yield _counter(families.MAPPED, self._each(lambda program: {(): program.mapped_ids}))
        yield _counter(families.REPEATED, self._each(lambda program: {(): program.repeated_ids}))
        yield _counter(families.QUERY, self._each(lambda program: {(): program.ignored_queries}))
        yield _gauge(families.IN_FLIGHT, self._each(lambda program: {(): program.in_flight}))
        yield _gauge(families.CIRCUIT, self._each(lambda program: {(): program.circuit_state} if program.name else {}))
        unknown = self._unknown()
        programs = [name for name in self._programs if name]
        yield _gauge(families.UNKNOWN, [((name,), unknown.get(name, (0, 0))[0]) for name in programs])
        yield _gauge(families.UNKNOWN_OLDEST, [((name,), at_ms / 1000) for name, (_, at_ms) in unknown.items()])
        yield _histogram(families.COMMIT, [((), self._commits)])
        yield _counter(families.JOURNAL_EVENTS, dict(self._journal_events).items())
        yield _gauge(families.JOURNAL_UP, [((), int(self.journal_up))])
        yield _counter(families.AUTH, dict(self._auth).items())
        yield _gauge(families.CONNECTIONS, [((), self._connections())])
        yield _histogram(families.LOOP_LAG, [((), self._lag)])
        yield _counter(families.LOG_DROPPED, [((), self._log_dropped())])
        yield _gauge(families.CONFIGURED, [((), self._configured_at)])
        yield _gauge(families.BUILD, [(self._build, 1)])

    def describe(self) -> Iterable[Metric]:
        """The same; the registry looks for doubled names."""
        return self.collect()

    def _each(self, read: Callable[[ProgramMetrics], Mapping[_Labels, int]]) -> Iterator[tuple[_Labels, int]]:
        for program in list(self._programs.values()):
            for labels, count in dict(read(program)).items():
                yield (program.name, *labels), count

    def _timings(self, read: Callable[[ProgramMetrics], Histogram]) -> Iterator[tuple[_Labels, Histogram]]:
        for program in list(self._programs.values()):
            yield (program.name,), read(program)


def _delivered(program: ProgramMetrics) -> dict[_Labels, int]:
    counted: dict[_Labels, int] = {}
    for (delivery, outcome), count in dict(program.deliveries).items():
        labels = (delivery.value, outcome.value)
        counted[labels] = counted.get(labels, 0) + count
    return counted


def _counter(family: Family, rows: _Rows) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in rows:
        metric.add_metric(labels, value)
    return metric


def _gauge(family: Family, rows: _Rows) -> Metric:
    metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in rows:
        metric.add_metric(labels, value)
    return metric


def _histogram(family: Family, rows: Iterable[tuple[_Labels, Histogram]]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels, histogram in rows:
        ends = [*map(floatToGoString, histogram.bounds), "+Inf"]
        counts, total = list(histogram.counts), histogram.total
        metric.add_metric(labels, list(zip(ends, accumulate(counts), strict=True)), total)
    return metric
