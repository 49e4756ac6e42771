"""The head that goes upstream: what is passed on of the partner's, what is not, and what is ours."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream import Forward
from gateway.upstream.head import compile_head

FORWARD = Forward(raw_headers=(), reference="01JDREF", client="192.0.2.7", scheme="https", host="gw.example")
PLAIN = compile_head("/legacy", "legacy.example", credentials=None, keep=True)


def lines(*headers: tuple[bytes, bytes], forward: Forward = FORWARD) -> list[bytes]:
    return PLAIN(forward._replace(raw_headers=headers), 3).split(b"\r\n")


def passed(*headers: tuple[bytes, bytes]) -> list[bytes]:
    """Header lines beyond those of a partner that sent nothing at all."""
    bare = lines()
    return [line for line in lines(*headers) if line not in bare]


def test_a_whole_head_reads_as_expected() -> None:
    head = compile_head(
        "/cgi-bin/lead.pl?src=%7Egw", "legacy.example:8443", credentials=("gw", "pässword:x"), keep=False
    )
    credentials = base64.b64encode("gw:pässword:x".encode()).decode()
    forward = Forward(
        raw_headers=(
            (b"Host", b"gw.example"),
            (b"User-Agent", b"curl/8"),
            (b"Authorization", b"Basic cGFydG5lcjpzM2NyZXQ="),
            (b"Accept", b"*/*"),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"Content-Length", b"562"),
        ),
        reference="01JDREF",
        client="2001:db8::7",
        scheme="https",
        host="gw.example:443",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        tracestate="vendor=1",
        version=(1, 0),
    )
    assert head(forward, 562).decode() == "\r\n".join([
        "POST /cgi-bin/lead.pl?src=%7Egw HTTP/1.1",
        "Host: legacy.example:8443",
        "User-Agent: curl/8",
        "Accept: */*",
        "content-type: application/x-www-form-urlencoded",
        "Accept-Encoding: identity",
        "Connection: close",
        f"Authorization: Basic {credentials}",
        "Via: 1.0 gateway",
        "X-Forwarded-For: 2001:db8::7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: gw.example:443",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate: vendor=1",
        "X-Request-Id: 01JDREF",
        "Content-Length: 562",
        "",
        "",
    ])  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        (b"Accept", b"application/json"),
        (b"Accept-Language", b"en"),
        (b"Content-Type", b"application/json"),
        (b"Referer", b"https://partner.example/form?x=1"),
        (b"X-Partner-Click", b"abc"),
        (b"Idempotency-Key", b"7"),
        (b"Via", b"1.1 partner-proxy"),
        (b"X-Empty", b""),
        (b"x-lower", b"a"),
    ],
    ids=lambda header: header[0].decode(),
)
def test_end_to_end_headers_are_passed_on_as_they_came(header: tuple[bytes, bytes]) -> None:
    assert passed(header) == [header[0] + b": " + header[1]]


# Hop-by-hop, credentials, what the gateway says itself, claims about the client, names that CGI rewrites.
NOT_PASSED = """
Connection Keep-Alive Proxy-Connection Proxy-Authenticate Proxy-Authorization Proxy-Anything Proxy TE Trailer
Transfer-Encoding Upgrade HTTP2-Settings Authorization Cookie Cookie2 Host Content-Length Expect Accept-Encoding
X-Request-Id traceparent tracestate X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Anything
Forwarded X-Real-IP X-Client-IP True-Client-IP CF-Connecting-IP X-Cluster-Client-IP X_Forwarded_For X.Forwarded.For
X_Partner Content_Length Transfer_Encoding X-Part.ner X!Y X'Y X|Y
"""


@pytest.mark.parametrize(
    "name",
    NOT_PASSED.split(),
)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper], ids=["as written", "lower", "upper"])
def test_what_belongs_to_this_hop_or_to_the_gateway_is_not_passed_on(name: str, spell: type[str]) -> None:
    assert passed((spell(name).encode(), b"evil")) == []


def test_a_name_that_is_empty_is_not_passed_on() -> None:
    assert passed((b"", b"evil")) == []


@pytest.mark.parametrize(
    ("connection", "left"),
    [
        pytest.param([b"close"], [b"X-A: 1", b"X-B: 2"], id="nothing named"),
        pytest.param([b"keep-alive, X-A"], [b"X-B: 2"], id="named in a list"),
        pytest.param([b"x-a ,\tX-b"], [], id="any case and spacing"),
        pytest.param([b"x-a", b"close, x-b"], [], id="in two lines"),
        pytest.param([b",, ,"], [b"X-A: 1", b"X-B: 2"], id="empty list"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["named before", "named after"])
def test_headers_named_in_connection_stay_here(connection: list[bytes], left: list[bytes], first: bool) -> None:
    named = [(b"Connection", value) for value in connection]
    headers = [(b"X-A", b"1"), (b"X-B", b"2")]
    assert passed(*(named + headers if first else headers + named)) == left


def test_connection_can_take_away_neither_the_content_type_nor_anything_of_ours() -> None:
    sent = lines(
        (b"Connection", b"Content-Type, X-Forwarded-For, X-Request-Id, Content-Length, Host, Via"),
        (b"Content-Type", b"application/json"),
    )
    assert b"Content-Type: application/json" in sent
    assert [line for line in lines() if line not in sent] == []


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"caf\xc3\xa9", id="UTF-8"),
        pytest.param(b"caf\xe9", id="latin-1"),
        pytest.param(b"a\tb", id="tab"),
        pytest.param(b"a\x00b", id="NUL"),
        pytest.param(b"a\r\nX-Evil: 1", id="CR LF"),
        pytest.param(b"a\nb", id="LF"),
        pytest.param(b"a\x7fb", id="DEL"),
    ],
)
def test_a_value_that_is_not_printable_ascii_is_dropped_and_the_others_stay(value: bytes) -> None:
    assert passed((b"X-A", b"1"), (b"X-Bad", value), (b"X-B", b"2")) == [b"X-A: 1", b"X-B: 2"]


def test_a_user_agent_is_passed_on_and_ours_stands_in_only_when_there_is_none() -> None:
    agents = [line for line in lines((b"user-agent", b"php")) if line.lower().startswith(b"user-agent")]
    assert agents == [b"user-agent: php"]
    assert b"User-Agent: data-post-gateway" in lines()
    assert b"User-Agent: data-post-gateway" in lines((b"User-Agent", b"caf\xe9"))


@pytest.mark.parametrize("host", ["", "a\r\nX-Evil: 1", "münchen.example", "a\x00b"])
def test_a_host_that_could_not_stand_in_a_header_is_left_out(host: str) -> None:
    assert not any(b"Forwarded-Host" in line or b"Evil" in line for line in lines(forward=FORWARD._replace(host=host)))


def test_without_trace_context_none_is_sent() -> None:
    assert not any(line.lower().startswith((b"traceparent", b"tracestate")) for line in lines())


def test_a_kept_connection_is_asked_for_by_saying_nothing() -> None:
    assert not any(line.lower().startswith(b"connection") for line in lines())


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=30)), max_size=12))
def test_whatever_the_partner_sends_the_head_has_one_blank_line_and_one_of_each_of_ours(
    headers: list[tuple[bytes, bytes]],
) -> None:
    head = PLAIN(FORWARD._replace(raw_headers=tuple(headers)), 3)
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1
    assert head.isascii()
    rows = head[:-4].split(b"\r\n")
    assert not any(set(row) & {0, 10, 13} for row in rows)
    names = [row.partition(b":")[0].lower() for row in rows[1:]]
    for ours in (b"host", b"content-length", b"x-forwarded-for", b"x-request-id", b"accept-encoding"):
        assert names.count(ours) == 1
    assert not {b"transfer-encoding", b"authorization", b"cookie", b"expect"} & set(names)
