"""TLS to the legacy: verified, or not sent; and an answer that ends with the connection ends with the closing alert."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.datapost.reasons import Delivery
from gateway.upstream import Failure
from tests.support.edge import LEAD, open_edge, post
from tests.support.upstreams import OK, Peer, Script, ScriptedUpstream, answering, cutting_request, serving, turns

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificates")

TO_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nOK|98"


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a directory of its own."""

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.pem"

    def server(self, name: str, *, names: str = "IP:127.0.0.1,DNS:localhost", days: int = 2) -> ssl.SSLContext:
        """A server's side of TLS with a certificate for `names`; negative days: expired."""
        key, request, certificate = (self.directory / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=legacy")
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.directory / "ca.key"),
            *("-CAcreateserial", "-out", certificate, "-days", days, "-extfile", extensions),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_authority(directory: Path) -> Authority:
    directory.mkdir()
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", directory / "ca.key"),
        *("-out", directory / "ca.pem", "-days", 2, "-subj", "/CN=test authority"),
    )
    return Authority(directory)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls") / "own")


@pytest.fixture(scope="module")
def good(authority: Authority) -> ssl.SSLContext:
    return authority.server("good")


async def test_a_legacy_with_a_certificate_of_the_configured_authority_gets_the_lead(
    authority: Authority, good: ssl.SSLContext
) -> None:
    async with (
        ScriptedUpstream(answering(OK), tls=good) as legacy,
        open_edge(legacy.url, tls={"ca": authority.certificate}) as upstream,
    ):
        exchange = await post(upstream)
        assert exchange.delivery is Delivery.ANSWERED
        assert exchange.connect_s > 0
        await legacy.until(lambda: legacy.ended == 1)
    assert legacy.arrivals[0].body == LEAD


async def test_a_kept_tls_connection_carries_several_leads(authority: Authority, good: ssl.SSLContext) -> None:
    async with (
        ScriptedUpstream(serving(OK), tls=good) as legacy,
        open_edge(legacy.url, tls={"ca": authority.certificate}, keep_alive="5s") as upstream,
    ):
        exchanges = [await post(upstream) for _ in range(3)]
        assert [one.reused for one in exchanges] == [False, True, True]
    assert len(legacy.arrivals) == 1


@pytest.mark.parametrize(
    "case", ["untrusted", "wrong name", "name of the same machine", "expired", "system's authorities"]
)
async def test_a_certificate_that_does_not_hold_means_that_nothing_was_sent(
    case: str, authority: Authority, good: ssl.SSLContext, tmp_path: Path
) -> None:
    server, settings = good, {"tls": {"ca": authority.certificate}}
    match case:
        case "untrusted":
            settings = {"tls": {"ca": make_authority(tmp_path / "other").certificate}}
        case "wrong name":
            server = authority.server("wrong-name", names="DNS:other.example")
        case "name of the same machine":
            server = authority.server("localhost-only", names="DNS:localhost")
        case "expired":
            server = authority.server("expired", days=-1)
        case _:
            settings = {}
    async with ScriptedUpstream(answering(OK), tls=server) as legacy, open_edge(legacy.url, **settings) as upstream:
        exchange = await post(upstream)
        assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.TLS_FAILED)
        assert not exchange.second_try
    assert len(legacy.arrivals) == 1
    assert legacy.touched == 0, "a byte of the lead went out"


async def plain_hang_up(peer: Peer) -> None:
    await peer.reset()


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        pytest.param(answering(OK), Failure.TLS_FAILED, id="speaks plain HTTP"),
        pytest.param(plain_hang_up, Failure.TLS_FAILED, id="resets"),
    ],
)
async def test_a_legacy_that_speaks_no_tls_means_that_nothing_was_sent(
    script: Script, failure: Failure, authority: Authority
) -> None:
    async def answer_at_once(peer: Peer) -> None:
        await peer.read(1)
        await (script(peer) if script is plain_hang_up else peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        if script is not plain_hang_up:
            await peer.stall()

    async with (
        ScriptedUpstream(answer_at_once) as legacy,
        open_edge(f"https://127.0.0.1:{legacy.port}/", tls={"ca": authority.certificate}) as upstream,
    ):
        exchange = await post(upstream)
        assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, failure)
        await legacy.until(lambda: legacy.ended == len(legacy.arrivals))
    assert not any(LEAD in arrival.data or b"POST" in arrival.data for arrival in legacy.arrivals)


async def test_a_handshake_that_never_ends_is_the_connect_timeout_and_its_connection_is_closed(
    authority: Authority,
) -> None:
    async with (
        ScriptedUpstream(cutting_request(1, "stall")) as legacy,
        open_edge(
            f"https://127.0.0.1:{legacy.port}/",
            tls={"ca": authority.certificate},
            timeouts={"connect": "300ms"},
        ) as upstream,
    ):
        exchange = await post(upstream)
        assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.CONNECT_TIMEOUT)
        await legacy.until(lambda: legacy.ended == 1)


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        pytest.param(True, (Delivery.ANSWERED, None), id="closing alert"),
        pytest.param(False, (Delivery.SENT, Failure.TRUNCATED_ANSWER), id="cut below TLS"),
    ],
)
async def test_an_answer_until_close_is_complete_only_with_the_closing_alert(
    alert: bool, expected: tuple[Delivery, Failure | None], authority: Authority, good: ssl.SSLContext
) -> None:
    async def close(peer: Peer) -> None:
        await peer.request()
        await peer.send(TO_CLOSE)
        await (peer.fin() if alert else peer.fin_without_alert())

    async with (
        ScriptedUpstream(close, tls=good) as legacy,
        open_edge(legacy.url, tls={"ca": authority.certificate}) as upstream,
    ):
        exchange = await post(upstream)
        assert (exchange.delivery, exchange.failure) == expected
        assert exchange.seen == len(TO_CLOSE)


async def test_an_answer_with_a_length_needs_no_closing_alert(authority: Authority, good: ssl.SSLContext) -> None:
    async def close(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.fin_without_alert()

    async with (
        ScriptedUpstream(close, tls=good) as legacy,
        open_edge(legacy.url, tls={"ca": authority.certificate}) as upstream,
    ):
        assert (await post(upstream)).delivery is Delivery.ANSWERED


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("after", [1, 50, 200])
async def test_a_legacy_that_leaves_inside_the_request_makes_the_outcome_unknown_over_tls_too(
    how: str, after: int, authority: Authority, good: ssl.SSLContext
) -> None:
    async with (
        ScriptedUpstream(cutting_request(after, how), tls=good) as legacy,  # type: ignore[arg-type]
        open_edge(legacy.url, tls={"ca": authority.certificate}) as upstream,
    ):
        exchange = await post(upstream)
        assert exchange.delivery is Delivery.SENT
        assert exchange.failure in (Failure.CLOSED_EARLY, Failure.RESET)
        assert not exchange.second_try
    assert len(legacy.arrivals) == 1


async def test_a_legacy_that_never_says_goodbye_does_not_keep_the_connection(
    authority: Authority, good: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rude(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.deaf()

    async with (
        ScriptedUpstream(rude, tls=good) as legacy,
        open_edge(legacy.url, tls={"ca": authority.certificate}) as upstream,
    ):
        assert (await post(upstream)).delivery is Delivery.ANSWERED
        gone = asyncio.Event()
        lost = upstream.lost
        monkeypatch.setattr(upstream, "lost", lambda connection: (lost(connection), gone.set()))
        async with asyncio.timeout(3):
            await gone.wait()
        assert upstream.connections == 0


async def test_a_kept_connection_on_which_tls_was_closed_but_tcp_was_not_never_carries_a_lead(
    authority: Authority, good: ssl.SSLContext
) -> None:
    peers: list[Peer] = []

    async def first(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.send(OK)
        await peer.stall()

    async with (
        ScriptedUpstream(first, serving(OK), tls=good) as legacy,
        open_edge(legacy.url, tls={"ca": authority.certificate}, keep_alive="60s") as upstream,
    ):
        await post(upstream)
        await peers[0].alert()
        await turns()
        second = await post(upstream)
        assert (second.delivery, second.reused) == (Delivery.ANSWERED, False)
    assert legacy.requests == 2
