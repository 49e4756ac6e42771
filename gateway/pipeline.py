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
from gateway.intake.address import ClientAddress, ClientScheme
from gateway.intake.credentials import Authenticator, Denied
from gateway.intake.reference import References
from gateway.journal.engine import Journal
from gateway.journal.reserving import Reservation
from gateway.journal.values import Entry, Meeting, Met, Refusal, Settlement, StoreUnavailable
from gateway.lead import Checked, Checker, Decoder, Lead, Undecodable
from gateway.observe.given_ids import GivenIds
from gateway.observe.log import SubmissionLog
from gateway.observe.metrics import Metrics, ProgramMetrics
from gateway.observe.trace import continued
from gateway.upstream import Attempt, Exchange, Forward, Upstream

#: Kept back from the deadline for reading the legacy's answer and writing ours.
_RESERVE_S = 0.1
#: The connection ends behind the answer: who asks for something else than to take a lead is no partner.
_ENDING = frozenset({Reason.NOT_FOUND, Reason.METHOD_NOT_ALLOWED})
#: What a lead is told that meets one of these in the journal.
_MET = {
    Met.REPLAY: Reason.DUPLICATE,  # its members are not there any more
    Met.RUNNING: Reason.IN_PROGRESS,
    Met.DUPLICATE: Reason.DUPLICATE,
    Met.CONFLICT: Reason.IDEMPOTENCY_CONFLICT,
}
#: Instead of a verdict: an answer that was late is not waited for any longer.
_GIVEN_UP = "given_up"
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
    reserve: Reservation


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
    attempt: Attempt | None = None  # leave of the circuit to send
    retry_after_s: int | None = None  # None: the reason's usual
    signed_in: bool = False  # its credential was good: from here on the journal hears of it
    entry: Entry | None = None  # begun in the journal, and to be settled there whatever happens
    exchange: Exchange | None = None
    legacy_id: str = ""
    legacy_body: bytes = b""
    release: bool = False
    upstream_status: int = 0
    mapped: bool = False  # the answer's uniqueid stands for the legacy's
    met: str = ""  # reference of the earlier submission that this one met

    def refuse(self, reason: Reason, text: str = "", unknown: int = 0, reference: str = "") -> Told:
        """End here: the reason and the answer that tells it. reference: of another submission that it is about."""
        contract = DEFAULT_CONTRACT if self.lane is None else self.lane.contract
        about = reference or self.reference
        return Told(reason, contract.refuse(reason, about, faults=self.faults, unknown=unknown, text=text))

    def end_attempt(self, reason: Reason) -> None:
        """Tell the circuit how the exchange went."""
        if self.attempt is not None and self.exchange is not None:
            self.attempt.end(self.exchange, reason)


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
        client_scheme: ClientScheme,
        in_flight: int,
        metrics: Metrics,
        log: SubmissionLog,
        journal: Journal,
    ) -> None:
        """`lanes` by path; `in_flight` is the most submissions worked on at once."""
        self._lanes = lanes
        self._client_address = client_address
        self._client_scheme = client_scheme
        self._limit = in_flight
        self._metrics = metrics
        self._log = log
        self._journal = journal
        self._late_work: set[asyncio.Task[None]] = set()
        self._references = References()
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

        client = self._client_address(request.peer, request.headers.getall("X-Forwarded-For", ()))
        # Before the body is read: a stranger must not cost us memory.
        if lane.authenticator is not None:
            authorization = request.headers.get("Authorization")
            credential = lane.authenticator.known(authorization) or (
                await lane.authenticator.check(authorization, client)
            )
            self._metrics.auth(credential.result)
            if isinstance(credential, Denied):
                return submission.refuse(credential.reason)
            submission.partner = credential.user
        if lane.allowed is not None and not lane.allowed(client):
            return submission.refuse(Reason.FORBIDDEN)

        submission.signed_in = True
        if self.draining.is_set():  # it may have begun while a password was being verified
            return submission.refuse(Reason.DRAINING)

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
            self._client_scheme(request.peer, request.headers.getall("X-Forwarded-Proto", ())),
            request.headers.get("Host", ""),
            trace.traceparent,
            trace.tracestate,
            request.version,
        )
        # In one durable step, so that of two copies in flight only one goes upstream; and last of all, so that a lead
        # which is refused for anything else reserves nothing.
        if (told := await self._reserve(request, submission, lane, lead, checked, body, deadline)) is not None:
            return told
        # From here on the legacy may have the lead, whatever goes wrong on our side.
        submission.delivery, submission.outcome = Delivery.SENT, Outcome.UNKNOWN
        on_late = self._late(submission, lane, checked)
        exchange = await lane.upstream.exchange(forward, body, deadline=deadline, on_late=on_late)
        submission.exchange, submission.delivery = exchange, exchange.delivery
        if exchange.delivery is Delivery.NOT_SENT:
            submission.outcome = Outcome.NONE
        if exchange.answer is None:
            reason = exchange.reason or Reason.INTERNAL
            submission.end_attempt(reason)
            return submission.refuse(reason)

        submission.upstream_status = exchange.answer.status
        reading = lane.answers.read(exchange.answer)
        submission.rule = reading.rule
        lane.metrics.answer(reading.kind, reading.rule)
        conclusion = lane.contract.conclude(reading, checked.fields, submission.reference)
        submission.end_attempt(conclusion.reason)
        submission.outcome = OUTCOMES[conclusion.reason][1]
        submission.legacy_id = conclusion.legacy_id or ""
        submission.legacy_body, submission.release = exchange.answer.body, reading.release
        if exchange.answer.surplus:
            lane.metrics.surplus_answers += 1
        if conclusion.mapped:
            submission.mapped = True
            lane.metrics.mapped_ids += 1
        if conclusion.legacy_id is not None and (times := lane.given_ids.repeated(conclusion.legacy_id, lead.pairs)):
            lane.metrics.repeated_ids += 1
            if times == 1:  # an endpoint that gives everybody one ID is told of once
                self._log.repeated_id(submission.reference, lane.name, submission.partner)
        return conclusion

    async def _reserve(
        self,
        request: Request,
        submission: Submission,
        lane: Lane,
        lead: Lead,
        checked: Checked,
        body: bytes,
        until: float,
    ) -> Told | None:
        """Begin the submission in the journal, ready to be sent; or end it here. Waits for a twin that is running."""
        entry = lane.reserve.entry(
            reference=submission.reference,
            partner=submission.partner,
            received_ms=self._journal.now_ms(),
            pairs=tuple(checked.fields.items()),
            typed=checked.typed,
            idempotency_key=request.headers.get("Idempotency-Key"),
            content_type=request.headers.get("Content-Type", ""),
            body=body,
        )
        try:
            while True:
                submission.attempt = lane.upstream.circuit.ask(submission.partner)
                refused = None
                if submission.attempt is None:
                    submission.retry_after_s = lane.upstream.circuit.retry_after_s
                    refused = Reason.CIRCUIT_OPEN
                elif not lane.upstream.free:
                    refused = Reason.OVERLOADED
                # What cannot be sent now begins nothing; a lead that is known is told so all the same.
                meeting = await (self._journal.look(entry) if refused else self._journal.begin(entry))
                if meeting.met is Met.NOTHING:
                    if refused:
                        return submission.refuse(refused)
                    submission.entry = entry
                    return None
                if submission.attempt is not None:
                    submission.attempt.drop()
                if meeting.met is not Met.RUNNING or not await self._journal.wait(entry, meeting.reference, until):
                    return self._met(submission, meeting)
        except StoreUnavailable:
            return submission.refuse(Reason.STORE_UNAVAILABLE)

    def _met(self, submission: Submission, meeting: Meeting) -> Told:
        """The answer to a lead that the journal knows."""
        submission.met = meeting.reference
        if meeting.met is Met.REPLAY and meeting.reason is not None and meeting.members is not None:
            return Told(meeting.reason, meeting.members)
        if meeting.met is Met.UNKNOWN:
            # Never `duplicate`: nobody knows whether the first one was taken. Its reference is what to ask about.
            return submission.refuse(Reason.OUTCOME_UNKNOWN, reference=meeting.reference)
        return submission.refuse(_MET[meeting.met])

    async def _settle(self, submission: Submission, told: Told | Conclusion) -> None:
        """Write how a submission ended, before its partner is told: durably if it was begun, else without waiting."""
        lane, exchange = submission.lane, submission.exchange
        if submission.entry is not None:
            settlement = Settlement(
                reference=submission.reference,
                reason=told.reason,
                delivery=submission.delivery,
                outcome=submission.outcome,
                members=told.answer,
                rule=submission.rule,
                failure=exchange.failure.value if exchange is not None and exchange.failure is not None else "",
                legacy_id=submission.legacy_id,
                upstream_status=submission.upstream_status,
                answer=submission.legacy_body,
                release=submission.release,
            )
            await self._journal.finish(settlement)
        elif submission.signed_in and lane is not None:
            self._journal.note(
                Refusal(
                    reference=submission.reference,
                    program=lane.name,
                    partner=submission.partner,
                    received_ms=self._journal.now_ms(),
                    reason=told.reason,
                    faults=tuple(f"{fault.field}={fault.kind}" for fault in submission.faults),
                )
            )

    async def __call__(self, request: Request) -> Reply:
        """Answer one request; never raises."""
        submission = self._begin(request.received)
        self.in_flight += 1
        try:
            try:
                told: Told | Conclusion = await self.carry(request, submission)
            except Exception as bug:  # the outermost edge: logged without its text, answered 500
                self._log.bug(bug, submission.reference)
                told = submission.refuse(Reason.INTERNAL)
            await self._settle(submission, told)
        finally:
            self.in_flight -= 1
            if submission.attempt is not None:
                submission.attempt.drop()  # whatever ended it: a probe nobody hears of again would be the last
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
        headers = answer_headers(reason, submission.reference, realm=realm, retry_after_s=submission.retry_after_s)
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

    def _late(
        self, submission: Submission, lane: Lane, checked: Checked
    ) -> Callable[[LegacyAnswer | None, float], None]:
        def on_late(answer: LegacyAnswer | None, after_s: float) -> None:
            """Tell what became of a lead whose partner was answered `outcome_unknown`, and settle it where known."""
            if answer is None:
                lane.metrics.late(_GIVEN_UP)
                self._log.late(submission.reference, lane.name, submission.partner, _GIVEN_UP, "", after_s)
                return
            reading = lane.answers.read(answer)
            verdict = reading.verdict.value if reading.verdict is not None else "unrecognized"
            lane.metrics.late(verdict)
            self._log.late(submission.reference, lane.name, submission.partner, verdict, reading.rule, after_s)
            conclusion = lane.contract.conclude(reading, checked.fields, submission.reference)
            outcome = OUTCOMES[conclusion.reason][1]
            if outcome is Outcome.UNKNOWN:
                return
            settlement = Settlement(
                reference=submission.reference,
                reason=conclusion.reason,
                delivery=Delivery.ANSWERED,
                outcome=outcome,
                members=conclusion.answer,
                rule=reading.rule,
                legacy_id=conclusion.legacy_id or "",
                upstream_status=answer.status,
                answer=answer.body,
                release=reading.release,
                late=True,
            )
            work = self._loop.create_task(self._settle_late(settlement), name="late answer")
            self._late_work.add(work)
            work.add_done_callback(self._late_work.discard)

        return on_late

    async def _settle_late(self, settlement: Settlement) -> None:
        """The partner has been answered already: only the journal is told."""
        await self._journal.finish(settlement)


def _all(request: Request, name: str) -> str | None:
    """All lines of a header as one list (RFC 9110 5.3); None when there is none."""
    lines = request.headers.getall(name, None)
    if lines is None:
        return None
    return lines[0] if len(lines) == 1 else ", ".join(lines)
