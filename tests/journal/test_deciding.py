"""What a begun lead meets: tables of single cases, and long histories against the plain words of the promise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.deciding import Found, Held, Holder, decide, holds, horizon_ms
from gateway.journal.values import Claim, Entry, Meeting, Met

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
NOW = 1_800_000_000_000
FIRST = "01JDFRST00000000000000000A"
SECOND = "01JDSECND0000000000000000B"

LEAD, OTHER_LEAD = b"lead", b"another lead"
EMAIL, PHONE = Claim("same_email", b"email", 30 * DAY), Claim("same_phone", b"phone", DAY)

ACCEPTED, REJECTED, ERROR, UNKNOWN, NOT_SENT, OPEN = (
    Outcome.ACCEPTED,
    Outcome.REJECTED,
    Outcome.ERROR,
    Outcome.UNKNOWN,
    Outcome.NONE,
    None,
)
REASONS = {
    ACCEPTED: Reason.ACCEPTED,
    REJECTED: Reason.LEGACY_REJECTED,
    ERROR: Reason.LEGACY_ERROR,
    UNKNOWN: Reason.OUTCOME_UNKNOWN,
    NOT_SENT: Reason.UPSTREAM_UNREACHABLE,
    OPEN: None,
}


def entry(**changes: object) -> Entry:
    plain = Entry(
        reference=SECOND,
        program="auto",
        partner="acme",
        received_ms=NOW,
        fingerprint=LEAD,
        replay_ms=10 * MINUTE,
        unknown_hold_ms=30 * DAY,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def holder(outcome: Outcome | None, age_ms: int = 1, **changes: object) -> Holder:
    plain = Holder(FIRST, LEAD, NOW - age_ms, outcome, REASONS[outcome], members=outcome not in (OPEN, NOT_SENT, ERROR))
    return replace(plain, **changes)  # type: ignore[arg-type]


def same(outcome: Outcome | None, age_ms: int = 1, **changes: object) -> Found:
    return Found(same=[holder(outcome, age_ms, **changes)])


def keyed(outcome: Outcome | None, age_ms: int = 1, **changes: object) -> Found:
    return Found(keyed=[holder(outcome, age_ms, **changes)])


def claimed(outcome: Outcome | None, left_ms: int = 1, **changes: object) -> Found:
    row = holder(outcome, fingerprint=OTHER_LEAD, **changes)
    return Found(claims={EMAIL.key: Held(row, EMAIL.rule, NOW + left_ms)})


def test_what_nobody_has_seen_meets_nothing() -> None:
    assert decide(entry(claims=(EMAIL, PHONE), idempotency=b"key"), Found(), NOW).met is Met.NOTHING


@pytest.mark.parametrize(
    ("found", "changes", "met"),
    [
        pytest.param(same(OPEN), {}, Met.RUNNING, id="running"),
        pytest.param(same(OPEN, 400 * DAY), {}, Met.RUNNING, id="running, however long"),
        pytest.param(same(OPEN), {"replay_ms": 0}, Met.NOTHING, id="running, replay off"),
        pytest.param(same(ACCEPTED), {}, Met.REPLAY, id="accepted"),
        pytest.param(same(REJECTED), {}, Met.REPLAY, id="rejected"),
        pytest.param(same(REJECTED, reason=Reason.LEGACY_DUPLICATE), {}, Met.REPLAY, id="the legacy's duplicate"),
        pytest.param(same(UNKNOWN), {}, Met.REPLAY, id="unknown"),
        pytest.param(same(ERROR), {}, Met.NOTHING, id="error does not replay"),
        pytest.param(same(NOT_SENT), {}, Met.NOTHING, id="not sent does not replay"),
        pytest.param(same(ACCEPTED), {"replay_ms": 0}, Met.NOTHING, id="accepted, replay off"),
        pytest.param(same(ACCEPTED, 10 * MINUTE - 1), {}, Met.REPLAY, id="accepted, window's last instant"),
        pytest.param(same(ACCEPTED, 10 * MINUTE), {}, Met.NOTHING, id="accepted, window over"),
        pytest.param(same(UNKNOWN, 10 * MINUTE), {}, Met.UNKNOWN, id="unknown holds beyond the window"),
        pytest.param(same(UNKNOWN), {"replay_ms": 0}, Met.UNKNOWN, id="unknown holds with replay off"),
        pytest.param(same(UNKNOWN, 30 * DAY - 1), {}, Met.UNKNOWN, id="unknown, hold's last instant"),
        pytest.param(same(UNKNOWN, 30 * DAY), {}, Met.NOTHING, id="unknown, hold over"),
        pytest.param(same(UNKNOWN, members=False), {}, Met.UNKNOWN, id="unknown by recovery has no words"),
        pytest.param(same(ACCEPTED, members=False), {}, Met.DUPLICATE, id="accepted and erased"),
        pytest.param(same(REJECTED, members=False), {}, Met.DUPLICATE, id="rejected and erased"),
        pytest.param(same(ACCEPTED, -5000), {}, Met.REPLAY, id="accepted a little in the future"),
    ],
)
def test_the_same_lead_meets_itself(found: Found, changes: dict[str, object], met: Met) -> None:
    meeting = decide(entry(**changes), found, NOW)
    assert meeting.met is met
    assert meeting.reference == ("" if met is Met.NOTHING else FIRST)
    assert meeting.rule == ""
    assert meeting.reason is (found.same[0].reason if met is Met.REPLAY else None)


@pytest.mark.parametrize(
    ("found", "changes", "met"),
    [
        pytest.param(keyed(OPEN), {}, Met.RUNNING, id="running"),
        pytest.param(keyed(OPEN), {"replay_ms": 0}, Met.RUNNING, id="running, replay of leads off"),
        pytest.param(keyed(OPEN, fingerprint=OTHER_LEAD), {}, Met.CONFLICT, id="another lead, running"),
        pytest.param(keyed(ACCEPTED), {"replay_ms": 0}, Met.REPLAY, id="accepted, replay of leads off"),
        pytest.param(keyed(ACCEPTED, DAY - 1), {}, Met.REPLAY, id="last instant of the key"),
        pytest.param(keyed(ACCEPTED, DAY), {}, Met.NOTHING, id="key forgotten"),
        pytest.param(keyed(ACCEPTED, fingerprint=OTHER_LEAD), {}, Met.CONFLICT, id="another lead"),
        pytest.param(keyed(UNKNOWN, fingerprint=OTHER_LEAD), {}, Met.CONFLICT, id="another lead, unknown"),
        pytest.param(keyed(ACCEPTED, DAY, fingerprint=OTHER_LEAD), {}, Met.NOTHING, id="another lead, long ago"),
        pytest.param(keyed(NOT_SENT), {}, Met.NOTHING, id="not sent"),
        pytest.param(keyed(NOT_SENT, fingerprint=OTHER_LEAD), {}, Met.NOTHING, id="another lead that was not sent"),
        pytest.param(keyed(ERROR, fingerprint=OTHER_LEAD), {}, Met.NOTHING, id="another lead that failed"),
        pytest.param(keyed(UNKNOWN, members=False), {}, Met.UNKNOWN, id="unknown by recovery"),
    ],
)
def test_an_idempotency_key_names_its_submission(found: Found, changes: dict[str, object], met: Met) -> None:
    meeting = decide(entry(idempotency=b"key", **changes), found, NOW)
    assert meeting.met is met
    assert meeting.reference == ("" if met is Met.NOTHING else FIRST)


@pytest.mark.parametrize(
    ("found", "met"),
    [
        pytest.param(claimed(OPEN), Met.RUNNING, id="running"),
        pytest.param(claimed(OPEN, -DAY), Met.RUNNING, id="running beyond the window"),
        pytest.param(claimed(ACCEPTED), Met.DUPLICATE, id="accepted"),
        pytest.param(claimed(ERROR), Met.DUPLICATE, id="error"),
        pytest.param(claimed(UNKNOWN), Met.UNKNOWN, id="unknown"),
        pytest.param(claimed(ACCEPTED, members=False), Met.DUPLICATE, id="accepted and erased"),
        pytest.param(claimed(REJECTED), Met.NOTHING, id="rejected"),
        pytest.param(claimed(NOT_SENT), Met.NOTHING, id="not sent"),
        pytest.param(claimed(ACCEPTED, 0), Met.NOTHING, id="window over"),
        pytest.param(claimed(UNKNOWN, 0), Met.NOTHING, id="unknown, window over"),
    ],
)
def test_a_claim_speaks_for_its_holder(found: Found, met: Met) -> None:
    meeting = decide(entry(claims=(EMAIL,)), found, NOW)
    assert meeting.met is met
    assert (meeting.reference, meeting.rule) == (("", "") if met is Met.NOTHING else (FIRST, EMAIL.rule))


def test_a_key_that_the_lead_does_not_claim_is_nothing_to_it() -> None:
    assert decide(entry(claims=(PHONE,)), claimed(ACCEPTED), NOW).met is Met.NOTHING


@pytest.mark.parametrize(
    ("email", "phone", "met"),
    [
        pytest.param(ACCEPTED, UNKNOWN, Met.UNKNOWN, id="unknown before duplicate"),
        pytest.param(OPEN, UNKNOWN, Met.UNKNOWN, id="unknown before running"),
        pytest.param(OPEN, ACCEPTED, Met.DUPLICATE, id="what is final before what is not"),
        pytest.param(REJECTED, OPEN, Met.RUNNING, id="running before free"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_of_several_claims_the_gravest_speaks(
    email: Outcome | None, phone: Outcome | None, met: Met, swapped: bool
) -> None:
    found = Found(
        claims={
            EMAIL.key: Held(holder(email), EMAIL.rule, NOW + 1),
            PHONE.key: Held(holder(phone), PHONE.rule, NOW + 1),
        }
    )
    claims = (PHONE, EMAIL) if swapped else (EMAIL, PHONE)
    assert decide(entry(claims=claims), found, NOW).met is met


def test_a_resend_is_told_about_itself_and_not_that_it_duplicates_itself() -> None:
    row = holder(ACCEPTED)
    found = Found(same=[row], claims={EMAIL.key: Held(row, EMAIL.rule, NOW + 1)})
    assert decide(entry(claims=(EMAIL,)), found, NOW).met is Met.REPLAY


def test_of_several_rows_the_unknown_one_speaks_then_the_running_one_then_the_newest() -> None:
    rows = [
        holder(REJECTED, 3, reference="oldest"),
        holder(ACCEPTED, 2, reference="newest"),
        holder(NOT_SENT, 1, reference="not sent"),
    ]
    assert decide(entry(), Found(same=rows), NOW).reference == "newest"
    rows.insert(1, holder(OPEN, 9, reference="running"))
    assert decide(entry(), Found(same=rows), NOW).reference == "running"
    rows.append(holder(UNKNOWN, 9, reference="unknown"))
    assert decide(entry(), Found(same=rows), NOW).reference == "unknown"


def test_a_running_row_with_replay_off_does_not_hide_an_unknown_or_a_claim() -> None:
    rows = [holder(OPEN, reference="running"), holder(UNKNOWN, reference="unknown")]
    assert decide(entry(replay_ms=0), Found(same=rows), NOW).reference == "unknown"
    claims = {EMAIL.key: Held(holder(OPEN, reference="claiming"), EMAIL.rule, NOW + 1)}
    found = Found(same=rows[:1], claims=claims)
    assert decide(entry(replay_ms=0, claims=(EMAIL,)), found, NOW).reference == "claiming"


@pytest.mark.parametrize(
    ("outcome", "release", "kept"),
    [
        (ACCEPTED, False, True),
        (ACCEPTED, True, False),
        (ERROR, False, True),
        (ERROR, True, False),
        (UNKNOWN, False, True),
        (UNKNOWN, True, True),
        (REJECTED, False, False),
        (NOT_SENT, False, False),
    ],
)
def test_what_holds_its_claims(outcome: Outcome, release: bool, kept: bool) -> None:
    assert holds(outcome, release=release) is kept


# --- histories ----------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """One submission of a history, with everything that ever became of it."""

    entry: Entry
    outcome: Outcome | None = None
    members: bool = False
    claims: dict[bytes, int] | None = None  # key -> until

    @property
    def holder(self) -> Holder:
        reason = REASONS[self.outcome]
        return Holder(
            self.entry.reference, self.entry.fingerprint, self.entry.received_ms, self.outcome, reason, self.members
        )


class Histories(RuleBasedStateMachine):
    """Random lives of many submissions over few keys. `_reasons_against` is the promise in plain words."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.rows: list[Row] = []
        self.replay_ms = 0
        self.hold_ms = 0

    @initialize(replay=st.sampled_from([0, 5, 20]), hold=st.sampled_from([10, 50]))
    def configure(self, replay: int, hold: int) -> None:
        self.replay_ms, self.hold_ms = replay, hold

    @rule(
        lead=st.integers(0, 2),
        keys=st.sets(st.integers(0, 2)),
        idempotency=st.none() | st.integers(0, 1),
        window=st.sampled_from([1, 15, 40]),
        order=st.randoms(use_true_random=False),
    )
    def submit(self, lead: int, keys: set[int], idempotency: int | None, window: int, order) -> None:  # type: ignore[no-untyped-def]
        entry = Entry(
            reference=f"{len(self.rows):026}",
            program="auto",
            partner="acme",
            received_ms=self.now,
            fingerprint=b"lead%d" % lead,
            idempotency=None if idempotency is None else b"key%d" % idempotency,
            idempotency_ms=30,
            replay_ms=self.replay_ms,
            unknown_hold_ms=self.hold_ms,
            claims=tuple(Claim(f"rule{key}", b"claim%d" % key, window) for key in sorted(keys)),
        )
        rows = list(self.rows)
        order.shuffle(rows)
        meeting = decide(entry, self._found(entry, rows), self.now)
        against = self._reasons_against(entry)
        if meeting.met is Met.NOTHING:
            assert not against
            claims = {claim.key: self.now + claim.window_ms for claim in entry.claims}
            for row in self.rows:
                for key in claims:
                    row.claims.pop(key, None)  # type: ignore[union-attr]
            self.rows.append(Row(entry, claims=claims))
        else:
            assert (meeting.met, meeting.reference) in against
            if any(met is Met.UNKNOWN for met, _ in against):
                assert meeting.met is not Met.DUPLICATE
        assert decide(entry, self._found(entry, rows, all_of_it=True), self.now) == meeting

    def _found(self, entry: Entry, rows: list[Row], all_of_it: bool = False) -> Found:
        """What a store finds; leaving out what it may, or nothing."""

        def may_matter(row: Row) -> bool:
            if row.outcome is None or all_of_it:
                return True
            old = self.now - row.entry.received_ms >= horizon_ms(entry)
            return not old and row.outcome not in (Outcome.NONE, Outcome.ERROR)

        same = [row.holder for row in rows if row.entry.fingerprint == entry.fingerprint and may_matter(row)]
        key = entry.idempotency
        keyed = [row.holder for row in rows if key and row.entry.idempotency == key and may_matter(row)]
        claims = {
            key: Held(row.holder, "rule", until)
            for row in rows
            for key, until in (row.claims or {}).items()
            if all_of_it or key in {claim.key for claim in entry.claims}
        }
        return Found(same, keyed, claims)

    def _reasons_against(self, entry: Entry) -> set[tuple[Met, str]]:
        """Each thing that alone forbids sending this entry now, and what the partner may be told for it."""
        against: set[tuple[Met, str]] = set()
        for row in self.rows:
            met: list[Met] = []
            age, outcome = self.now - row.entry.received_ms, row.outcome
            is_same = row.entry.fingerprint == entry.fingerprint
            is_keyed = entry.idempotency is not None and row.entry.idempotency == entry.idempotency
            is_answer = outcome in (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNKNOWN)
            if is_keyed and not is_same and (outcome is None or (is_answer and age < 30)):
                met.append(Met.CONFLICT)
            if is_same and outcome is None and (is_keyed or self.replay_ms):
                met.append(Met.RUNNING)
            if is_same and is_answer and (age < self.replay_ms or (is_keyed and age < 30)):
                words = Met.UNKNOWN if outcome is Outcome.UNKNOWN else Met.DUPLICATE
                met.append(Met.REPLAY if row.members else words)
            if is_same and outcome is Outcome.UNKNOWN and age < self.hold_ms:
                met.append(Met.UNKNOWN)
            for claim in entry.claims:
                until = (row.claims or {}).get(claim.key)
                if until is None:
                    continue
                if outcome is None:
                    met.append(Met.RUNNING)
                elif self.now < until and outcome is Outcome.UNKNOWN:
                    met.append(Met.UNKNOWN)
                elif self.now < until:
                    met.append(Met.DUPLICATE)
            against.update((one, row.entry.reference) for one in met)
        return against

    @precondition(lambda self: any(row.outcome is None for row in self.rows))
    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)), release=st.booleans(), crashed=st.booleans())
    def finish(self, data: st.DataObject, outcome: Outcome, release: bool, crashed: bool) -> None:
        row = data.draw(st.sampled_from([row for row in self.rows if row.outcome is None]))
        if crashed:
            outcome = Outcome.UNKNOWN
        self._settle(row, outcome, release)
        row.members = not crashed and outcome in (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNKNOWN)

    @precondition(lambda self: any(row.outcome is Outcome.UNKNOWN for row in self.rows))
    @rule(data=st.data(), outcome=st.sampled_from([Outcome.ACCEPTED, Outcome.REJECTED, Outcome.ERROR, Outcome.NONE]))
    def settle_an_unknown(self, data: st.DataObject, outcome: Outcome) -> None:
        row = data.draw(st.sampled_from([row for row in self.rows if row.outcome is Outcome.UNKNOWN]))
        self._settle(row, outcome, release=False)
        row.members = True

    def _settle(self, row: Row, outcome: Outcome, release: bool) -> None:
        row.outcome = outcome
        if not holds(outcome, release=release):
            row.claims = {}

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.rows)).members = False

    @rule(ms=st.integers(1, 25))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @invariant()
    def no_claim_has_two_open_holders(self) -> None:
        held = [claim.key for row in self.rows if row.outcome is None for claim in row.entry.claims]
        assert len(held) == len(set(held))

    @invariant()
    def with_replay_no_lead_is_open_twice(self) -> None:
        if self.replay_ms:
            leads = [row.entry.fingerprint for row in self.rows if row.outcome is None]
            assert len(leads) == len(set(leads))


Histories.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestHistories = Histories.TestCase


def test_nothing_is_one_value_without_words() -> None:
    assert decide(entry(), Found(), NOW) == Meeting(met=Met.NOTHING)
