"""Durations, sizes, addresses and secrets as they are written."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.addresses import collide, parse_address
from gateway.settings.models import UpstreamAuth, UpstreamSettings
from gateway.settings.units import Secret, octets, seconds, spell_octets, spell_seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", 0.5),
        ("8s", 8.0),
        ("1.5s", 1.5),
        ("2m", 120.0),
        ("12h", 43200.0),
        ("30d", 2592000.0),
        ("0s", 0.0),
        (0, 0.0),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text: object, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    "text", ["8", "8 s", "08s", "-1s", "1e3s", "s", "", "8S", "8s\n", "٣s", 8, True, False, None, []]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration; a number with a unit"):
        seconds(text)


@pytest.mark.parametrize("text", ["64", "64KB", "64kib", "1.5KiB", "-1B", "", "064B", 64, None])
def test_anything_else_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is no size; a number with a unit"):
        octets(text)


@given(st.integers(0, 10**9))
def test_what_is_spelled_reads_back(number: int) -> None:
    assert octets(spell_octets(number)) == number
    assert seconds(spell_seconds(number / 1000)) == pytest.approx(number / 1000, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("[::]:0", ("::", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("gateway-1.example.com:80", ("gateway-1.example.com", 80)),
    ],
)
def test_an_address_is_host_and_port(text: str, endpoint: tuple[str, int]) -> None:
    assert parse_address(text) == endpoint


@pytest.mark.parametrize(
    "text",
    ["", ":", "8080", ":8080", "localhost", "localhost:", "localhost:http", "1.2.3:80", "1.2.3.4.5:80", "::1:80",
     "[::1]", "[::1]80", "[]:80", "[localhost]:80", "a b:80", "a_b:80", "-a:80", "http://a:80", "a:80 ", "a:80\n",
     "a:٣", "a:70000"],
)  # fmt: skip
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="; "):
        parse_address(text)


@pytest.mark.parametrize(
    ("one", "other", "does"),
    [
        (("127.0.0.1", 1), ("127.0.0.1", 1), True),
        (("127.0.0.1", 1), ("127.0.0.1", 2), False),
        (("127.0.0.1", 0), ("127.0.0.1", 0), False),
        (("127.0.0.1", 1), ("127.0.0.2", 1), False),
        (("0.0.0.0", 1), ("127.0.0.1", 1), True),
        (("::", 1), ("127.0.0.1", 1), True),
        (("LOCALHOST", 1), ("localhost", 1), True),
        (("localhost", 1), ("::1", 1), True),
        (("localhost", 1), ("192.0.2.1", 1), False),
    ],
)
def test_two_endpoints_collide_when_only_one_can_be_had(
    one: tuple[str, int], other: tuple[str, int], does: bool
) -> None:
    assert collide(one, other) is does
    assert collide(other, one) is does


def test_a_secret_never_prints() -> None:
    secret = Secret("canary-5d0a")
    auth = UpstreamAuth(user="gw", password=secret)
    settings = UpstreamSettings(url="http://127.0.0.1/", auth=auth)
    assert settings.auth is not None
    assert settings.auth.password.reveal() == "canary-5d0a"
    for text in (
        f"{secret}",
        f"{secret!r:>30}",
        str([secret]),
        repr(settings),
        str(settings),
        str(settings.model_dump()),
        settings.model_dump_json(),
        json.dumps(settings.model_dump(mode="json")),
        str(copy.deepcopy(settings)),
        str({secret: 1}),
    ):
        assert "canary" not in text


def test_a_secret_is_the_same_after_a_copy_and_compares_by_its_text() -> None:
    secret = Secret("canary-5d0a")
    assert copy.deepcopy(secret) == secret
    assert pickle.loads(pickle.dumps(secret)) == secret  # noqa: S301
    assert secret != Secret("other")
    assert secret != "canary-5d0a"
    assert hash(secret) == hash(Secret("canary-5d0a"))
