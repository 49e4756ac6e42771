"""The way of one submission, top to bottom: `Pipeline.carry` is that way, in the published order of checks.

Each stage decides in its own room; here they are put in order, and what becomes known on the way (delivery,
outcome, times) is noted in a `Submission` for the log line and the metrics. The first refusal ends the way. An
answer is given on every path: what a bug breaks is answered `internal`, with the delivery as it is known.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.answers import Answers, LegacyAnswer
from gateway.datapost import DEFAULT_CONTRACT, Conclusion, Contract, Format, answer_headers, render
from gateway.datapost.reasons import OUTCOMES, Delivery, Outcome, Reason
from gateway.datapost.values import DataPostResponse, Fault
from gateway.intake import Reply, Request, Unreadable
from gateway.intake.address import ClientAddress
from gateway.intake.credentials import Authenticator, Denied
from gateway.intake.reference import References
from gateway.lead import Checker, Decoder, Undecodable
from gateway.observe.given_ids import GivenIds
from gateway.observe.log import SubmissionLog
from gateway.observe.metrics import Metrics, ProgramMetrics
from gateway.observe.trace import continued
from gateway.upstream import Exchange, Forward, Upstream

#: Kept back from the deadline for reading the legacy's answer and writing ours.
_RESERVE_S = 0.1
#: The connection ends behind the answer: who asks for something else than to take a lead is no partner.
_ENDING = frozenset({Reason.NOT_FOUND, Reason.METHOD_NOT_ALLOWED})
#: A body that ends for one of these: nobody knows where it would have ended, so the true status goes out.
_UNSOUND = frozenset({Reason.MALFORMED, Reason.REQUEST_TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One program while it runs: what was compiled from its settings, and what lives."""

    name: str
    deadline_s: float  # first byte of the request to last byte of the answer
    timezone: datetime.tzinfo
    realm: str
    authenticator: Authenticator | None  # None: `auth: none`
    allowed: Callable[[str], bool] | None  # client address -> may connect; None: everybody
    decode: Decoder
    check: Checker
    answers: Answers
    contract: Contract
    upstream: Upstream
    metrics: ProgramMetrics
    given_ids: GivenIds


@dataclass(slots=True)
class Submission:
    """What is known of one submission so far; written only on its way, read once at its end. No values in it."""

    reference: str
    received: float  # loop time of the request's first byte
    entered: float  # monotonic time at which its head was whole; the loop's own clock only counts milliseconds
    waited_s: float  # from received to entered
    lane: Lane | None = None
    format: Format = Format.JSON
    # Not read as HTTP to its end, or HEAD, whose answer has no body to tell by: the true status, and the end.
    true_status: bool = False
    partner: str = ""
    trace_id: str = ""
    body_bytes: int = 0
    faults: tuple[Fault, ...] = ()
    delivery: Delivery = Delivery.NOT_SENT
    outcome: Outcome = Outcome.NONE
    rule: str = ""
    exchange: Exchange | None = None
    upstream_status: int = 0

    def refuse(self, reason: Reason, text: str = "", unknown: int = 0) -> Told:
        """End here: the reason and the answer that tells it."""
        contract = DEFAULT_CONTRACT if self.lane is None else self.lane.contract
        return Told(reason, contract.refuse(reason, self.reference, faults=self.faults, unknown=unknown, text=text))


class Told(NamedTuple):
    """How a submission ended; the conclusion from an answer says it, too."""

    reason: Reason
    answer: DataPostResponse


class Pipeline:
    """Intake's handler: carries each request to its one answer, and tells log and metrics."""

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        client_address: ClientAddress,
        in_flight: int,
        metrics: Metrics,
        log: SubmissionLog,
        tls: bool = False,
    ) -> None:
        """`lanes` by path; `in_flight` is the most submissions worked on at once."""
        self._lanes = lanes
        self._client_address = client_address
        self._limit = in_flight
        self._metrics = metrics
        self._log = log
        self._references = References()
        self._scheme = "https" if tls else "http"
        self._loop = asyncio.get_running_loop()
        self.in_flight = 0
        #: Set while what is left is being refused before the process ends.
        self.draining = asyncio.Event()

    async def carry(self, request: Request, submission: Submission) -> Told | Conclusion:
        """Carry one submission from partner to legacy endpoint and back; the first refusal ends it."""
        lane = self._lanes.get(request.path)
        if lane is None:
            return submission.refuse(Reason.NOT_FOUND)
        submission.lane = lane
        lane.metrics.in_flight += 1
        submission.format = lane.contract.format_for(_all(request, "Accept"))
        if request.query:
            lane.metrics.ignored_queries += 1
        if request.method != "POST":
            submission.true_status = request.method == "HEAD"
            return submission.refuse(Reason.METHOD_NOT_ALLOWED)
        if self.draining.is_set():
            return submission.refuse(Reason.DRAINING)
        if self.in_flight > self._limit:
            return submission.refuse(Reason.OVERLOADED)

        # Before the body is read: a stranger must not cost us memory.
        if lane.authenticator is not None:
            authorization = request.headers.get("Authorization")
            credential = lane.authenticator.known(authorization) or await lane.authenticator.check(authorization)
            self._metrics.auth(credential.result)
            if isinstance(credential, Denied):
                return submission.refuse(credential.reason)
            submission.partner = credential.user
        client = self._client_address(request.peer, request.headers.getall("X-Forwarded-For", ()))
        if lane.allowed is not None and not lane.allowed(client):
            return submission.refuse(Reason.FORBIDDEN)

        deadline = request.received + lane.deadline_s - _RESERVE_S
        body = request.whole or await request.body(deadline)
        if isinstance(body, Unreadable):
            submission.true_status = body.reason in _UNSOUND
            return submission.refuse(body.reason, body.text)
        submission.body_bytes = len(body)
        lead = lane.decode(request.headers.get("Content-Type"), body)
        if isinstance(lead, Undecodable):
            return submission.refuse(lead.reason, lead.text)

        # All faults at once, so that a partner can repair a lead in one round trip.
        checked = lane.check(lead, datetime.datetime.now(lane.timezone).date())
        if checked.faults:
            submission.faults = checked.faults
            return submission.refuse(Reason.LEAD_INVALID, unknown=checked.unknown)
        if request.gone:
            return submission.refuse(Reason.CLIENT_GONE)
        if self.draining.is_set():
            return submission.refuse(Reason.DRAINING)

        trace = continued(_all(request, "traceparent"), _all(request, "tracestate"))
        submission.trace_id = trace.trace_id
        # In the order of Forward's fields: this is on the way of every lead, and by their names it takes twice as long.
        forward = Forward(
            request.raw_headers,
            submission.reference,
            client,
            self._scheme,
            request.headers.get("Host", ""),
            trace.traceparent,
            trace.tracestate,
            request.version,
        )
        # From here on the legacy may have the lead, whatever goes wrong on our side.
        submission.delivery, submission.outcome = Delivery.SENT, Outcome.UNKNOWN
        exchange = await lane.upstream.exchange(forward, body, deadline=deadline, on_late=self._late(submission, lane))
        submission.exchange, submission.delivery = exchange, exchange.delivery
        if exchange.delivery is Delivery.NOT_SENT:
            submission.outcome = Outcome.NONE
        if exchange.answer is None:
            return submission.refuse(exchange.reason or Reason.INTERNAL)

        submission.upstream_status = exchange.answer.status
        reading = lane.answers.read(exchange.answer)
        submission.rule = reading.rule
        lane.metrics.answer(reading.kind, reading.rule)
        conclusion = lane.contract.conclude(reading, checked.fields, submission.reference)
        submission.outcome = OUTCOMES[conclusion.reason][1]
        if exchange.answer.surplus:
            lane.metrics.surplus_answers += 1
        if conclusion.mapped:
            lane.metrics.mapped_ids += 1
        if conclusion.legacy_id is not None and (times := lane.given_ids.repeated(conclusion.legacy_id, lead.pairs)):
            lane.metrics.repeated_ids += 1
            if times == 1:  # an endpoint that gives everybody one ID is told of once
                self._log.repeated_id(submission.reference, lane.name, submission.partner)
        return conclusion

    async def __call__(self, request: Request) -> Reply:
        """Answer one request; never raises."""
        submission = self._begin(request.received)
        self.in_flight += 1
        try:
            told: Told | Conclusion = await self.carry(request, submission)
        except Exception as bug:  # the outermost edge: logged without its text, answered 500
            self._log.bug(bug, submission.reference)
            told = submission.refuse(Reason.INTERNAL)
        finally:
            self.in_flight -= 1
            if submission.lane is not None:
                submission.lane.metrics.in_flight -= 1
        return self._reply(submission, told)

    def refuse(self, reason: Reason, peer: str, received: float, text: str = "") -> Reply:
        """The answer to what could not be read as a request at all (or to a bug of the connection's)."""
        submission = self._begin(received)
        submission.true_status = True
        return self._reply(submission, submission.refuse(reason, text))

    def _begin(self, received: float) -> Submission:
        return Submission(self._references.new(), received, time.monotonic(), self._loop.time() - received)

    def _reply(self, submission: Submission, told: Told | Conclusion) -> Reply:
        lane, reason = submission.lane, told.reason
        body = render(told.answer, submission.format)
        status = reason.status if lane is None or submission.true_status else lane.contract.statuses[reason]
        self._observe(submission, reason, status, len(body))
        realm = lane.realm if lane is not None else ""
        headers = answer_headers(reason, submission.reference, realm=realm)
        close = submission.true_status or reason in _ENDING
        return Reply(status, headers, body, close, submission.format.content_type)

    def _observe(self, submission: Submission, reason: Reason, status: int, answer_bytes: int) -> None:
        total_s = submission.waited_s + time.monotonic() - submission.entered
        upstream_s = submission.exchange.total_s if submission.exchange is not None else None
        metrics = submission.lane.metrics if submission.lane is not None else self._metrics.unrouted
        metrics.submission(
            submission.partner, reason, submission.delivery, submission.outcome, total_s, upstream_s, submission.faults
        )
        self._log.submission(submission, reason, status, answer_bytes, total_s)

    def _late(self, submission: Submission, lane: Lane) -> Callable[[LegacyAnswer, float], None]:
        def on_late(answer: LegacyAnswer, after_s: float) -> None:
            """Tell what became of a lead whose partner was answered `outcome_unknown`."""
            reading = lane.answers.read(answer)
            verdict = reading.verdict.value if reading.verdict is not None else "unrecognized"
            lane.metrics.late(verdict)
            self._log.late(submission.reference, lane.name, submission.partner, verdict, reading.rule, after_s)

        return on_late


def _all(request: Request, name: str) -> str | None:
    """All lines of a header as one list (RFC 9110 5.3); None when there is none."""
    lines = request.headers.getall(name, None)
    if lines is None:
        return None
    return lines[0] if len(lines) == 1 else ", ".join(lines)
