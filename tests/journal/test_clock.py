"""The journal's clock: no jump of the host's clock ends a claim early or keeps one for ever."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.clock import Anchor, Clock, anchored, boot_id, ticks_ms

HOUR = 3_600_000
NOON = 1_800_000_000_000
KEPT = Anchor("boot", NOON, 5_000)


@pytest.mark.parametrize("jump_ms", [-HOUR, 0, HOUR, 365 * 24 * HOUR])
def test_within_a_boot_a_restart_goes_on_with_the_same_time_whatever_the_wall_says(jump_ms: int) -> None:
    anchor = anchored(KEPT, NOON, boot="boot", wall_ms=NOON + 60_000 + jump_ms, ticks_ms=65_000)
    assert Clock(anchor, ticks=lambda: 65_000).now_ms() == NOON + 60_000


def test_two_processes_started_before_and_after_a_jump_agree() -> None:
    first = anchored(None, 0, boot="boot", wall_ms=NOON, ticks_ms=5_000)
    second = anchored(first, NOON, boot="boot", wall_ms=NOON + HOUR + 2_000, ticks_ms=7_000)
    assert Clock(first, ticks=lambda: 9_000).now_ms() == Clock(second, ticks=lambda: 9_000).now_ms()


@pytest.mark.parametrize(
    ("kept", "high_water", "boot", "wall", "ticks", "now"),
    [
        pytest.param(None, 0, "boot", NOON, 7, NOON, id="first start"),
        pytest.param(KEPT, NOON, "next boot", NOON + HOUR, 7, NOON + HOUR, id="another boot"),
        pytest.param(KEPT, NOON, "next boot", NOON - HOUR, 7, NOON, id="another boot, wall behind what was seen"),
        pytest.param(Anchor("", NOON, 5), NOON, "", NOON + HOUR, 7, NOON + HOUR, id="boots have no names here"),
        pytest.param(KEPT, NOON, "boot", NOON + HOUR, 4_999, NOON + HOUR, id="ticks behind the anchor's"),
        pytest.param(KEPT, NOON + HOUR, "boot", NOON, 6_000, NOON + HOUR, id="anchor behind what was seen"),
    ],
)
def test_otherwise_time_starts_at_the_wall_and_never_before_what_was_seen(
    kept: Anchor | None, high_water: int, boot: str, wall: int, ticks: int, now: int
) -> None:
    anchor = anchored(kept, high_water, boot=boot, wall_ms=wall, ticks_ms=ticks)
    assert anchor == Anchor(boot, now, ticks)
    assert Clock(anchor, ticks=lambda: ticks + 10).now_ms() == now + 10


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-2 * HOUR, 2 * HOUR), st.integers(0, HOUR), st.integers(0, HOUR)),
        max_size=12,
    )
)
def test_over_any_restarts_and_jumps_time_never_goes_back_and_runs_while_the_gateway_does(
    lives: list[tuple[bool, int, int, int]],
) -> None:
    """Each life: whether it follows a boot, the wall's jump before it, the time off before it, and its length."""
    kept: Anchor | None = None
    wall, ticks, boot, seen, ran = NOON, 1_000, 0, 0, 0
    for booted, jump, off, length in lives:
        wall, ticks = wall + off + jump, ticks + off
        if booted:
            boot, ticks = boot + 1, 1_000
        kept = anchored(kept, seen, boot=str(boot), wall_ms=wall, ticks_ms=ticks)
        start = Clock(kept, ticks=lambda at=ticks: at).now_ms()  # type: ignore[misc]
        assert start >= seen
        wall, ticks, ran = wall + length, ticks + length, ran + length
        seen = Clock(kept, ticks=lambda at=ticks: at).now_ms()  # type: ignore[misc]
        assert seen - start == length
    assert seen == 0 or seen >= ran


def test_a_running_clock_does_not_look_at_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock.of_host(None, 0)
    before = clock.now_ms()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock.now_ms() - before < 10_000
    assert clock.difference_ms(clock.now_ms() + HOUR) == pytest.approx(HOUR, abs=10_000)


def test_a_clock_can_be_set_to_a_servers() -> None:
    readings = iter([100, 130])
    assert Clock.at(NOON, ticks=lambda: next(readings)).now_ms() == NOON + 30


def test_this_host_counts_its_ticks() -> None:
    one = ticks_ms()
    assert ticks_ms() >= one > 0
    assert boot_id() == boot_id()
