"""`gateway demo`: its ports, and which one is named when it is taken. The scene itself is played in test_readme."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from gateway.cli import gateway


def run(*arguments: object) -> Result:
    return CliRunner().invoke(gateway, ["demo", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--port", 0), "1<=x<=65533"),
        (("--port", 65534), "1<=x<=65533"),
        (("--admin-port", 0), "1<=x<=65535"),
        (("--admin-port", 65536), "1<=x<=65535"),
        (("--port", 9088, "--admin-port", 9090), "--admin-port 9090 is one of the players' ports, 9088 to 9090."),
    ],
)
def test_ports_that_cannot_be_are_wrong_use(arguments: tuple[object, ...], text: str) -> None:
    result = run(*arguments)
    assert text in result.output
    assert result.exit_code == 2


@pytest.fixture
def free() -> int:
    """The first of three ports in a row that are free, and a fourth behind them."""
    for first in range(21000, 60000, 7):
        try:
            for port in range(first, first + 4):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.fixture
def taken(request: pytest.FixtureRequest, free: int) -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", free + request.param))
        sock.listen()
        yield free + request.param


@pytest.mark.parametrize(
    ("taken", "who"),
    [(0, "the gateway"), (1, "the legacy endpoint"), (2, "the platform"), (3, "the gateway")],
    ids=["port", "legacy", "platform", "admin port"],
    indirect=["taken"],
)
def test_a_port_that_is_taken_is_named(taken: int, who: str, free: int) -> None:
    result = run("--port", free, "--admin-port", free + 3)
    assert result.output == (
        f"Port {taken} cannot be had for {who}: Address already in use. "
        "Try others: gateway demo --port 18080 --admin-port 19090\n"
    )
    assert result.exit_code == 1
