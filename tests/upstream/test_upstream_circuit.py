"""The circuit breaker: tables of what opens and closes it, and a model that remembers everything and decides anew.

Times are quarters of a second and the ramp takes 8 s, so that every share is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.upstream.circuit import Breaker, Leave, Sign, State

GOOD, BAD, UNREAD = Sign.GOOD, Sign.BAD, Sign.UNREAD
FAILURES, OPEN_S = 5, 8.0


def breaker() -> Breaker:
    return Breaker(failures=FAILURES, open_s=OPEN_S)


def take(circuit: Breaker, now: float) -> Leave:
    """Leave for a lead that must be let through."""
    leave = circuit.ask(now)
    assert leave is not None, "refused"
    return leave


def send(circuit: Breaker, *signs: Sign, now: float = 0.0, partner: str = "acme") -> None:
    """Leads one after another, all at one moment."""
    for sign in signs:
        circuit.tell(take(circuit, now), sign, now, partner)


def opened(now: float = 0.0) -> Breaker:
    circuit = breaker()
    send(circuit, *[BAD] * FAILURES, now=now)
    assert circuit.state is State.OPEN
    return circuit


def ramping(now: float = OPEN_S) -> Breaker:
    """A breaker whose probe has just come back well."""
    circuit = opened(now - OPEN_S)
    send(circuit, GOOD, now=now)
    assert circuit.state is State.HALF_OPEN
    return circuit


# --- closed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signs", "state"),
    [
        pytest.param([BAD] * 4, State.CLOSED, id="one too few"),
        pytest.param([BAD] * 5, State.OPEN, id="enough in a row"),
        pytest.param([BAD] * 4 + [GOOD] + [BAD] * 4, State.CLOSED, id="a good one between them"),
        pytest.param([BAD] * 4 + [UNREAD] * 3 + [BAD], State.OPEN, id="an unread one does not end the run"),
        pytest.param([BAD] * 2 + [UNREAD] * 10 + [BAD] * 2, State.CLOSED, id="an unread one does not add to the run"),
        pytest.param([GOOD, BAD] * 50, State.CLOSED, id="every other one"),
        pytest.param([UNREAD] * 500, State.CLOSED, id="unread ones of one partner"),
    ],
)
def test_it_opens_after_so_many_bad_ones_in_a_row(signs: list[Sign], state: State) -> None:
    circuit = breaker()
    send(circuit, *signs)
    assert circuit.state is state


@pytest.mark.parametrize(
    ("groups", "state"),
    [
        # Groups of (time, partner, sign, how many).
        pytest.param([(0, "a", UNREAD, 10), (0, "b", UNREAD, 10)], State.OPEN, id="twenty of two partners"),
        pytest.param([(0, "a", UNREAD, 10), (0, "b", UNREAD, 9)], State.CLOSED, id="nineteen are too few"),
        pytest.param([(0, "a", UNREAD, 20)], State.CLOSED, id="twenty of one partner"),
        pytest.param([(0, "", UNREAD, 20)], State.OPEN, id="twenty where partners are not known"),
        pytest.param([(0, "a", GOOD, 10), (0, "a", UNREAD, 9), (0, "b", UNREAD, 1)], State.OPEN, id="half of them"),
        pytest.param([(0, "a", GOOD, 11), (0, "a", UNREAD, 9), (0, "b", UNREAD, 1)], State.CLOSED, id="below half"),
        pytest.param([(0, "b", GOOD, 20), (0, "a", UNREAD, 50)], State.CLOSED, id="the other's good ones are no voice"),
        pytest.param([(0, "a", UNREAD, 19), (59, "b", UNREAD, 1)], State.OPEN, id="within a minute"),
        pytest.param([(0, "a", UNREAD, 19), (60, "b", UNREAD, 1)], State.CLOSED, id="not within a minute"),
        pytest.param(
            [(0, "a", GOOD, 90), (61, "a", UNREAD, 10), (61, "b", UNREAD, 10)], State.OPEN, id="old good ones"
        ),
        pytest.param([(0, "b", UNREAD, 1), (60, "a", UNREAD, 20)], State.CLOSED, id="the second partner's is too old"),
    ],
)
def test_it_opens_on_a_share_of_unread_answers(groups: list[tuple[float, str, Sign, int]], state: State) -> None:
    circuit = breaker()
    for now, partner, sign, count in groups:
        send(circuit, *[sign] * count, now=now, partner=partner)
    assert circuit.state is state


def test_what_is_given_back_counts_for_nothing() -> None:
    circuit = breaker()
    for _ in range(FAILURES - 1):
        send(circuit, BAD)
        circuit.give_back(take(circuit, 0.0))
    assert circuit.state is State.CLOSED
    send(circuit, BAD)
    assert circuit.state is State.OPEN


# --- open -------------------------------------------------------------------------------------------


def test_while_open_nothing_goes_and_the_rest_is_told() -> None:
    circuit = opened(now=100.0)
    assert [circuit.rest_s(now) for now in (100.0, 103.5, 107.75, 108.0, 200.0)] == [8.0, 4.5, 0.25, 0.0, 0.0]
    assert all(circuit.ask(now) is None for now in (100.0, 103.5, 107.75))
    assert circuit.state is State.OPEN


def test_leads_from_before_the_opening_neither_close_it_nor_count_afterwards() -> None:
    circuit = breaker()
    before = [take(circuit, 0.0) for _ in range(20)]
    send(circuit, *[BAD] * FAILURES)
    circuit.tell(before.pop(), GOOD, 1.0)
    assert circuit.ask(1.0) is None
    probe = take(circuit, OPEN_S)
    circuit.tell(before.pop(), GOOD, OPEN_S)
    assert circuit.ask(OPEN_S) is None, "a lead from before the opening was taken for the probe"
    circuit.tell(probe, GOOD, OPEN_S)
    for late in before:
        circuit.tell(late, BAD, OPEN_S + 1.0)
    assert circuit.state is State.HALF_OPEN


# --- half-open --------------------------------------------------------------------------------------


def test_only_one_of_all_who_ask_is_the_probe() -> None:
    circuit = opened()
    assert sum(circuit.ask(OPEN_S) is not None for _ in range(50)) == 1
    assert circuit.state is State.HALF_OPEN
    assert circuit.rest_s(OPEN_S) == OPEN_S


def test_a_bad_probe_opens_it_again_for_the_whole_time() -> None:
    circuit = opened()
    circuit.tell(take(circuit, 20.0), BAD, 21.0)
    assert circuit.state is State.OPEN
    assert circuit.ask(28.75) is None
    assert circuit.ask(29.0) is not None


def test_a_probe_that_tells_nothing_makes_room_for_the_next() -> None:
    circuit = opened()
    for _ in range(3):
        circuit.give_back(take(circuit, OPEN_S))
    probe = take(circuit, OPEN_S)
    assert circuit.ask(OPEN_S) is None
    circuit.tell(probe, GOOD, OPEN_S)
    assert circuit.due == 2 * OPEN_S


def test_a_probe_that_was_given_back_is_no_probe_any_more() -> None:
    circuit = opened()
    cancelled = take(circuit, OPEN_S)
    circuit.give_back(cancelled)
    probe = take(circuit, OPEN_S)
    circuit.tell(cancelled, BAD, OPEN_S)
    assert circuit.state is State.HALF_OPEN
    circuit.tell(probe, GOOD, OPEN_S)
    assert circuit.due is not None


@pytest.mark.parametrize(
    ("partners", "state"),
    [
        pytest.param(["a"], State.HALF_OPEN, id="one"),
        pytest.param(["a", "a", "a"], State.HALF_OPEN, id="one, again and again"),
        pytest.param(["a", "b"], State.OPEN, id="two"),
        pytest.param([""], State.OPEN, id="nobody knows whose"),
    ],
)
def test_an_unread_probe_of_one_partner_decides_nothing(partners: list[str], state: State) -> None:
    circuit = opened()
    for partner in partners:
        send(circuit, UNREAD, now=OPEN_S, partner=partner)
    assert circuit.state is state


def test_a_doubt_of_the_half_open_before_is_forgotten() -> None:
    circuit = opened(now=0.0)
    send(circuit, UNREAD, now=8.0, partner="a")
    send(circuit, BAD, now=8.0)
    send(circuit, UNREAD, now=16.0, partner="b")
    assert circuit.state is State.HALF_OPEN


def test_after_a_good_probe_the_share_that_goes_grows_from_none_to_all() -> None:
    circuit = ramping(now=8.0)
    moments = [[8.0 + second + quarter / 4 for quarter in range(4) for _ in range(80)] for second in range(8)]
    gone = [sum(circuit.ask(now) is not None for now in second) for second in moments]
    assert gone == sorted(gone)
    # The sum of the shares as they are at each asking: 80 leads each quarter, quarter n has the share n/32.
    assert sum(gone) == pytest.approx(80 * sum(n / 32 for n in range(32)), abs=1)
    assert gone[0] == pytest.approx(80 * (0 + 1 + 2 + 3) / 32, abs=1)
    assert circuit.ask(16.0) is not None
    assert circuit.state is State.CLOSED


def test_leads_that_come_seldom_are_hardly_refused_in_the_ramp() -> None:
    circuit = ramping(now=8.0)
    assert [circuit.ask(now) is not None for now in (9.0, 12.0, 15.0)] == [True, False, True]


def test_every_ramp_begins_anew() -> None:
    circuit = ramping(now=8.0)
    leave = take(circuit, 9.0)
    assert circuit.ask(9.0) is None
    for _ in range(FAILURES):
        circuit.tell(leave, BAD, 9.0)
    send(circuit, GOOD, now=17.0)
    assert circuit.ask(17.25) is not None


def test_the_ramp_ends_by_itself() -> None:
    circuit = ramping(now=8.0)
    assert circuit.due == 16.0
    assert circuit.rest_s(13.0) == 3.0
    circuit.tick(15.75)
    assert circuit.state is State.HALF_OPEN
    circuit.tick(16.0)
    assert circuit.state is State.CLOSED
    assert circuit.due is None
    assert circuit.rest_s(16.0) == 0.0


def test_in_the_ramp_it_opens_for_the_same_as_when_closed() -> None:
    circuit = ramping(now=8.0)
    leaves = [leave for _ in range(2 * FAILURES) if (leave := circuit.ask(15.0)) is not None]
    for leave in leaves[: FAILURES - 1]:
        circuit.tell(leave, BAD, 15.0)
    assert circuit.state is State.HALF_OPEN
    circuit.tell(leaves[FAILURES - 1], BAD, 15.0)
    assert circuit.state is State.OPEN
    assert circuit.due is None
    assert circuit.ask(22.75) is None


def test_unread_answers_from_before_an_opening_are_forgotten() -> None:
    circuit = breaker()
    for partner in ("a", "b"):
        send(circuit, *[UNREAD] * 9, partner=partner)
    send(circuit, *[BAD] * FAILURES)
    send(circuit, GOOD, now=OPEN_S)
    send(circuit, UNREAD, UNREAD, now=2 * OPEN_S)
    assert circuit.state is State.CLOSED


# --- the model --------------------------------------------------------------------------------------


@dataclass
class Told:
    """One sign that counted."""

    at: float
    sign: Sign
    partner: str


@dataclass(eq=False)
class Sent:
    """A lead that was let through, as the model sees it."""

    leave: Leave
    epoch: int
    probe: bool


class Model(RuleBasedStateMachine):
    """Keeps whole histories and works out each decision from them; the breaker must decide the same."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = breaker()
        self.now = 1000.0
        self.epoch = 0  # openings so far
        self.opened_at: float | None = None  # of the last opening, until its probe came back well
        self.half = False  # a probe was let out after it
        self.recovered_at: float | None = None  # of the last good probe
        self.told: list[Told] = []  # since then, or since the start
        self.doubts: list[str] = []
        self.shares: list[Fraction] = []  # of each asking in the ramp
        self.gone = 0  # let through in the ramp
        self.out: list[Sent] = []

    @property
    def state(self) -> State:
        if self.opened_at is not None:
            return State.HALF_OPEN if self.half else State.OPEN
        if self.recovered_at is not None and self.now < self.recovered_at + OPEN_S:
            return State.HALF_OPEN
        return State.CLOSED

    def opens(self) -> None:
        self.epoch += 1
        self.opened_at, self.half, self.recovered_at = self.now, False, None
        self.told, self.doubts = [], []

    @rule(quarters=st.integers(1, 40))
    def time_goes_on(self, quarters: int) -> None:
        self.now += quarters / 4
        self.breaker.tick(self.now)

    @rule(minutes=st.integers(1, 3))
    def a_long_time_goes_on(self, minutes: int) -> None:
        self.time_goes_on(minutes * 240)

    @rule(count=st.integers(1, 12))
    def leads_ask(self, count: int) -> None:
        for _ in range(count):
            goes, probe = self.expected()
            leave = self.breaker.ask(self.now)
            assert (leave is not None) == goes
            if leave is not None:
                self.out.append(Sent(leave, self.epoch, probe))

    def expected(self) -> tuple[bool, bool]:
        """Whether the next lead goes, and whether it is the probe."""
        if self.opened_at is not None:
            if not self.half and self.now < self.opened_at + OPEN_S:
                return False, False
            self.half = True
            goes = not any(sent.probe and sent.epoch == self.epoch for sent in self.out)
            return goes, goes
        if self.state is State.HALF_OPEN:
            assert self.recovered_at is not None
            self.shares.append(Fraction(self.now - self.recovered_at) / Fraction(OPEN_S))
            # One more goes as soon as the shares so far are worth more than what has gone.
            goes = sum(self.shares) > self.gone
            self.gone += goes
            return goes, False
        return True, False

    @precondition(lambda self: self.out)
    @rule(data=st.data(), sign=st.sampled_from(Sign), partner=st.sampled_from(["", "a", "b", "b", "a", "a"]))
    def a_lead_ends(self, data: st.DataObject, sign: Sign, partner: str) -> None:
        self.end(self.out.pop(data.draw(st.integers(0, len(self.out) - 1))), sign, partner)

    @precondition(lambda self: len(self.out) > 3)
    @rule(sign=st.sampled_from(Sign), partners=st.sampled_from([[""], ["a"], ["a", "b"]]))
    def all_end(self, sign: Sign, partners: list[str]) -> None:
        for number, sent in enumerate(self.out):
            self.end(sent, sign, partners[number % len(partners)])
        self.out = []

    def end(self, sent: Sent, sign: Sign, partner: str) -> None:
        self.breaker.tell(sent.leave, sign, self.now, partner)
        if sent.epoch != self.epoch:
            return
        if sent.probe:
            if sign is UNREAD:
                self.doubts.append(partner)
            if sign is GOOD:
                self.opened_at, self.recovered_at = None, self.now
                self.shares, self.gone = [], 0
            elif sign is BAD or partner == "" or len(set(self.doubts)) > 1:
                self.opens()
            return
        self.told.append(Told(self.now, sign, partner))
        if (sign is BAD and self.in_a_row() >= FAILURES) or (sign is UNREAD and self.nobody_understands()):
            self.opens()

    def in_a_row(self) -> int:
        judged = [one.sign for one in self.told if one.sign is not UNREAD]
        return len(judged) if GOOD not in judged else judged[::-1].index(GOOD)

    def nobody_understands(self) -> bool:
        recent = [one for one in self.told if int(one.at) > int(self.now) - 60]
        unread = [one.partner for one in recent if one.sign is UNREAD]
        return len(recent) >= 20 and 2 * len(unread) >= len(recent) and ("" in unread or len(set(unread)) > 1)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def a_lead_is_cancelled(self, data: st.DataObject) -> None:
        self.breaker.give_back(self.out.pop(data.draw(st.integers(0, len(self.out) - 1))).leave)

    @invariant()
    def it_is_in_the_same_state(self) -> None:
        assert self.breaker.state is self.state

    @invariant()
    def never_more_than_one_probe_is_out(self) -> None:
        assert sum(sent.probe and sent.epoch == self.epoch for sent in self.out) <= 1

    @invariant()
    def the_rest_is_within_bounds(self) -> None:
        assert 0.0 <= self.breaker.rest_s(self.now) <= OPEN_S
        assert (self.breaker.due is not None) == (self.state is State.HALF_OPEN and self.opened_at is None)


class TestModel(Model.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
