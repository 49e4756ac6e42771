"""The bytes of one legacy answer: what is an answer, where it ends, and what is junk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.answers import LegacyAnswer
from gateway.upstream import Failure
from gateway.upstream.reading import MAX_FIELDS, MAX_HEAD, MAX_INTERIM, AnswerReader, Unpaced
from tests.support.upstreams import chunked, message

LIMIT = 1024
LOOP = asyncio.new_event_loop()
UNPACED = Unpaced(LOOP)


@pytest.fixture(scope="module", autouse=True)
def _loop() -> Iterable[None]:
    yield
    LOOP.close()


def read(segments: Iterable[bytes], *, then: str = "fin", limit: int = LIMIT) -> AnswerReader:
    """A reader that was fed these segments until it was done; otherwise the sender left."""
    reader = AnswerReader(limit, UNPACED, LOOP)
    for segment in segments:
        if reader.feed(segment):
            return reader
    if then == "fin":
        reader.end()
    else:
        reader.cut(reset=then == "reset")
    return reader


def single(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


@dataclass(frozen=True)
class Full:
    status: int = 200
    body: bytes = b"OK"
    surplus: bool = False


H = b"HTTP/1.1 200 OK\r\n"
CL = b"Content-Length: 2\r\n\r\n"
TE = b"Transfer-Encoding: chunked\r\n\r\n"
JUNK, LARGE, TRUNCATED = Failure.JUNK_ANSWER, Failure.ANSWER_TOO_LARGE, Failure.TRUNCATED_ANSWER

CASES: dict[str, tuple[bytes, Full | Failure]] = {
    # framing
    "length": (H + CL + b"OK", Full()),
    "length zero": (H + b"Content-Length: 0\r\n\r\n", Full(body=b"")),
    "length with leading zero": (H + b"Content-Length: 02\r\n\r\nOK", Full()),
    "length with spaces around": (H + b"Content-Length:  2 \t\r\n\r\nOK", Full()),
    "length on a folded line": (H + b"Content-Length:\r\n 2\r\n\r\nOK", Full()),
    "length broken by a fold": (H + b"Content-Length: 1\r\n 2\r\n\r\nOK", JUNK),
    "length shorter than the body": (H + CL + b"OK|98", Full(surplus=True)),
    "length longer than the body": (H + CL + b"O", TRUNCATED),
    "length twice, the same": (H + b"Content-Length: 2\r\n" + CL + b"OK", JUNK),
    "length twice, different": (H + b"Content-Length: 3\r\n" + CL + b"OK!", JUNK),
    "length as a list": (H + b"Content-Length: 2, 2\r\n\r\nOK", JUNK),
    "length with plus": (H + b"Content-Length: +2\r\n\r\nOK", JUNK),
    "length negative": (H + b"Content-Length: -2\r\n\r\nOK", JUNK),
    "length in hex": (H + b"Content-Length: 0x2\r\n\r\nOK", JUNK),
    "length with underscore": (H + b"Content-Length: 1_0\r\n\r\nOK", JUNK),
    "length empty": (H + b"Content-Length:\r\n\r\nOK", JUNK),
    "length over 64 bits": (H + b"Content-Length: 18446744073709551618\r\n\r\nOK", JUNK),
    "length of 64 bits": (H + b"Content-Length: 18446744073709551615\r\n\r\nOK", LARGE),
    "length over the limit": (H + b"Content-Length: 1025\r\n\r\nOK", LARGE),
    "length at the limit": (H + b"Content-Length: 1024\r\n\r\n" + b"x" * 1024, Full(body=b"x" * 1024)),
    "until close": (H + b"\r\nOK", Full()),
    "until close, empty": (H + b"\r\n", Full(body=b"")),
    "until close, at the limit": (H + b"\r\n" + b"x" * 1024, Full(body=b"x" * 1024)),
    "until close, over the limit": (H + b"\r\n" + b"x" * 1025, LARGE),
    "until close in spite of keep-alive": (H + b"Connection: keep-alive\r\n\r\nOK", Full()),
    "HTTP/1.0 until close": (b"HTTP/1.0 200 OK\r\n\r\nOK", Full()),
    "HTTP/0.9 style, no head": (b"OK|98\r\n", JUNK),
    # chunked
    "chunked": (H + TE + b"2\r\nOK\r\n0\r\n\r\n", Full()),
    "chunked, two chunks": (chunked(b"O", b"K"), Full()),
    "chunked, empty": (H + TE + b"0\r\n\r\n", Full(body=b"")),
    "chunked, extension and trailer": (H + TE + b"2;a=b\r\nOK\r\n0\r\nX-Sum: 1\r\n\r\n", Full()),
    "chunked, upper case coding": (H + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n", Full()),
    "chunked, space behind a size": (H + TE + b"2 \r\nOK\r\n0\r\n\r\n", Full()),
    "chunked in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + TE + b"2\r\nOK\r\n0\r\n\r\n", Full()),
    "chunked, no last chunk": (H + TE + b"2\r\nOK\r\n", TRUNCATED),
    "chunked, last chunk without blank line": (H + TE + b"2\r\nOK\r\n0\r\n", TRUNCATED),
    "chunked, size is no number": (H + TE + b"zz\r\nOK\r\n0\r\n\r\n", JUNK),
    "chunked, size with 0x": (H + TE + b"0x2\r\nOK\r\n0\r\n\r\n", JUNK),
    "chunked, size negative": (H + TE + b"-2\r\nOK\r\n0\r\n\r\n", JUNK),
    "chunked, size overflows": (H + TE + b"fffffffffffffffff\r\nOK\r\n0\r\n\r\n", JUNK),
    "chunked, data longer than its size": (H + TE + b"2\r\nOK!\r\n0\r\n\r\n", JUNK),
    "chunked, bare line feeds": (H + TE + b"2\nOK\n0\n\n", JUNK),
    "chunked, over the limit": (chunked(b"x" * 1025), LARGE),
    "chunked, at the limit": (chunked(b"x" * 1024), Full(body=b"x" * 1024)),
    "chunked, endless extension": (H + TE + b"2;" + b"x" * 40_000, LARGE),
    "chunked, endless trailer": (H + TE + b"2\r\nOK\r\n0\r\n" + b"X: y\r\n" * 8_000, JUNK),
    "chunked with length": (H + b"Content-Length: 2\r\n" + TE + b"2\r\nOK\r\n0\r\n\r\n", JUNK),
    "chunked, then length": (H + b"Transfer-Encoding: chunked\r\n" + CL + b"2\r\nOK\r\n0\r\n\r\n", JUNK),
    "chunked twice": (H + b"Transfer-Encoding: chunked\r\n" + TE + b"2\r\nOK\r\n0\r\n\r\n", JUNK),
    "gzip, chunked": (H + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n", JUNK),
    "chunked, gzip": (H + b"Transfer-Encoding: chunked, gzip\r\n\r\nOK", JUNK),
    "xchunked": (H + b"Transfer-Encoding: xchunked\r\n\r\nOK", JUNK),
    "coding identity until close": (H + b"Transfer-Encoding: identity\r\n\r\nOK", Full()),
    "coding identity with length": (H + b"Transfer-Encoding: identity\r\n" + CL + b"OK", JUNK),
    # surplus
    "a forged answer behind": (H + CL + b"OK" + message(b"ACCEPTED"), Full(surplus=True)),
    "a forged answer behind chunks": (chunked(b"OK") + message(b"ACCEPTED"), Full(surplus=True)),
    "a forged chunked answer behind chunks": (chunked(b"OK") + chunked(b"ACCEPTED"), Full(surplus=True)),
    "half a forged answer behind chunks": (chunked(b"OK") + b"HTTP/1.1 200 OK\r\nConte", Full(surplus=True)),
    "one letter behind chunks": (chunked(b"OK") + b"H", Full(surplus=True)),
    "garbage behind chunks": (chunked(b"OK") + b"\x00\xff", Full(surplus=True)),
    "a line end behind chunks": (chunked(b"OK") + b"\r\n", Full(surplus=True)),
    "garbage behind chunks that close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\nX",
        Full(surplus=True),
    ),
    "a body behind 204": (b"HTTP/1.1 204 No Content\r\n" + CL + b"OK", Full(204, b"", True)),
    "a body behind 304": (b"HTTP/1.1 304 Not Modified\r\n\r\nOK", Full(304, b"", True)),
    # no body
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", Full(204, b"")),
    "204 with length": (b"HTTP/1.1 204 No Content\r\n" + CL, Full(204, b"")),
    "304 with length": (b"HTTP/1.1 304 Not Modified\r\n" + CL, Full(304, b"")),
    "304 with chunked": (b"HTTP/1.1 304 Not Modified\r\n" + TE, Full(304, b"")),
    # status line
    "status 302": (b"HTTP/1.1 302 Found\r\nLocation: /thanks\r\n" + CL + b"OK", Full(302)),
    "status 500": (b"HTTP/1.1 500 Oops\r\n" + CL + b"OK", Full(500)),
    "status 599": (b"HTTP/1.1 599 Last\r\n" + CL + b"OK", Full(599)),
    "status 600": (b"HTTP/1.1 600 Beyond\r\n" + CL + b"OK", JUNK),
    "status 000": (b"HTTP/1.1 000 Zero\r\n" + CL + b"OK", JUNK),
    "status 99": (b"HTTP/1.1 99 Short\r\n" + CL + b"OK", JUNK),
    "status 999": (b"HTTP/1.1 999 Beyond\r\n" + CL + b"OK", JUNK),
    "status 2000": (b"HTTP/1.1 2000 Long\r\n" + CL + b"OK", JUNK),
    "status with sign": (b"HTTP/1.1 +20 OK\r\n" + CL + b"OK", JUNK),
    "status 101": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nOK", JUNK),
    "no reason": (b"HTTP/1.1 200\r\n" + CL + b"OK", Full()),
    "empty reason": (b"HTTP/1.1 200 \r\n" + CL + b"OK", Full()),
    "reason in latin-1": (b"HTTP/1.1 200 Gepr\xfcft\r\n" + CL + b"OK", Full()),
    "HTTP/2.0 in words": (b"HTTP/2.0 200 OK\r\n" + CL + b"OK", Full()),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\n" + CL + b"OK", JUNK),
    "http in lower case": (b"http/1.1 200 OK\r\n" + CL + b"OK", JUNK),
    "ICY": (b"ICY 200 OK\r\n" + CL + b"OK", JUNK),
    "two spaces": (b"HTTP/1.1  200 OK\r\n" + CL + b"OK", JUNK),
    "a request": (b"POST / HTTP/1.1\r\n" + CL + b"OK", JUNK),
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x28", JUNK),
    "the first letters only": (b"HTT", TRUNCATED),
    "an SMTP greeting": (b"220 mail.example.com ESMTP\r\n\r\n", JUNK),
    "line ends before the status line": (b"\r\n\r\n" + H + CL + b"OK", Full()),
    "a space before the status line": (b" " + H + CL + b"OK", JUNK),
    "nothing but line ends": (b"\r\n" * (MAX_HEAD // 2 + 1), JUNK),
    "a few line ends": (b"\r\n" * 8, TRUNCATED),
    # header lines
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nOK", Full()),
    "bare and whole line ends mixed": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nOK", Full()),
    "bare, then a whole blank line": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\r\nOK", Full()),
    "bare carriage return": (H + b"X: a\rb\r\n" + CL + b"OK", JUNK),
    "folded line": (H + b"X: a\r\n b\r\n" + CL + b"OK", Full()),
    "space before colon": (H + b"X : a\r\n" + CL + b"OK", JUNK),
    "no colon": (H + b"nonsense\r\n" + CL + b"OK", JUNK),
    "empty name": (H + b": a\r\n" + CL + b"OK", JUNK),
    "name with a letter outside ASCII": (H + b"X\xe9: a\r\n" + CL + b"OK", JUNK),
    "NUL in a value": (H + b"X: a\x00b\r\n" + CL + b"OK", JUNK),
    "empty value": (H + b"X:\r\n" + CL + b"OK", Full()),
    "two content types": (H + b"Content-Type: a/b\r\nContent-Type: c/d\r\n" + CL + b"OK", Full()),
    "old websocket header": (H + b"Sec-WebSocket-Key1: a\r\n" + CL + b"OK", JUNK),
    "upgrade offered": (H + b"Upgrade: h2c\r\nConnection: upgrade\r\n" + CL + b"OK", Full()),
    "gzip although identity was asked": (H + b"Content-Encoding: gzip\r\n" + CL + b"OK", Full()),
    "as many fields as allowed": (H + b"X: y\r\n" * (MAX_FIELDS - 1) + CL + b"OK", Full()),
    "one field too many": (H + b"X: y\r\n" * MAX_FIELDS + CL + b"OK", JUNK),
    "a long header": (H + b"X: " + b"y" * 60_000 + b"\r\n" + CL + b"OK", Full()),
    "a head that is too long": (H + b"X: " + b"y" * MAX_HEAD + b"\r\n" + CL + b"OK", JUNK),
    "a head without end": (H + b"X: " + b"y" * MAX_HEAD, JUNK),
    "a cut head": (H + b"Content-Len", TRUNCATED),
    # interim answers
    "100 before": (b"HTTP/1.1 100 Continue\r\n\r\n" + H + CL + b"OK", Full()),
    "103 with headers before": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + H + CL + b"OK", Full()),
    "102 with a length that means nothing": (b"HTTP/1.1 102 Processing\r\n" + CL + H + CL + b"OK", Full()),
    "as many interim answers as allowed": (b"HTTP/1.1 102 P\r\n\r\n" * MAX_INTERIM + H + CL + b"OK", Full()),
    "one interim answer too many": (b"HTTP/1.1 102 P\r\n\r\n" * (MAX_INTERIM + 1) + H + CL + b"OK", JUNK),
    "interim answers with long heads": (
        (b"HTTP/1.1 103 E\r\nX: " + b"y" * 30_000 + b"\r\n\r\n") * 3 + H + CL + b"OK",
        JUNK,
    ),
    "only an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n", TRUNCATED),
    "nothing": (b"", Failure.CLOSED_EARLY),
}


def check(reader: AnswerReader, expected: Full | Failure, *, surplus_seen: bool = True) -> None:
    if isinstance(expected, Failure):
        assert (reader.failure, reader.answer) == (expected, None)
        return
    assert reader.failure is None
    assert reader.answer is not None
    assert (reader.answer.status, reader.answer.body) == (expected.status, expected.body)
    if surplus_seen:
        assert reader.answer.surplus is expected.surplus
    assert not (reader.reusable and reader.answer.surplus)


@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES)
def test_an_answer_is_read_the_same_whole_and_byte_by_byte(data: bytes, expected: Full | Failure) -> None:
    check(read([data]), expected)
    if len(data) < 10_000:
        # What stands behind the last byte of an answer is another segment then, which nobody reads.
        check(read(single(data)), expected, surplus_seen=False)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(name for name, (data, _) in CASES.items() if len(data) < 3_000)), st.data())
def test_an_answer_is_read_the_same_however_it_is_split(name: str, data: st.DataObject) -> None:
    wire, expected = CASES[name]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=6)))
    segments = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    check(read(segments), expected, surplus_seen=False)


HTTP_PIECES = st.sampled_from(
    b"""HTTP/1.1 200 OK\r\n|HTTP/1.0 500 X\r\n|HTTP/1.1 100 C\r\n\r\n|HTTP/1.1 204 N\r\n|HTTP/1.1 101 S\r\n|HTTP/
|Content-Length: 3\r\n|Content-Length: 0\r\n|Content-Length: 99999999999999999999\r\n|Content-Encoding: gzip\r\n
|Transfer-Encoding: chunked\r\n|Transfer-Encoding: gzip\r\n|Transfer-Encoding: identity\r\n|X: y\r\n z\r\n
|Connection: close\r\n|Connection: keep-alive\r\n|Connection: upgrade\r\nUpgrade: websocket\r\n|0\r\n
|3\r\nabc\r\n|0\r\n\r\n|\r\n|\r|\r\n\r\n|ffffffffffffffff\r\n|abc|\x00|\xff\xfe| |:|""".split(b"|")
)


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(st.one_of(HTTP_PIECES, st.binary(max_size=12)), max_size=14),
    st.sampled_from(["fin", "reset", "lost"]),
    st.data(),
)
def test_any_bytes_split_anywhere_end_in_exactly_one_of_answer_and_failure(
    pieces: list[bytes], then: str, data: st.DataObject
) -> None:
    wire = b"".join(pieces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=5)))
    segments = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    split, whole = read(segments, then=then), read([wire], then=then)
    for reader in (split, whole):
        assert (reader.answer is None) != (reader.failure is None)
        assert reader.seen <= len(wire)
        if reader.answer is not None:
            assert 200 <= reader.answer.status <= 599
            assert len(reader.answer.body) <= LIMIT
            assert all(name.isascii() and value.encode() is not None for name, value in reader.answer.headers)
    assert same(split.answer, whole.answer)
    assert split.failure is whole.failure


def same(one: LegacyAnswer | None, other: LegacyAnswer | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.status, one.headers, one.body) == (other.status, other.headers, other.body)


@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
@given(body=st.binary(max_size=LIMIT), cut=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_a_body_of_any_bytes_comes_out_as_it_was_sent(framing: str, body: bytes, cut: int) -> None:
    wire = {
        "length": message(body),
        "chunked": chunked(*(body[at : at + cut] for at in range(0, len(body), cut))),
        "until close": b"HTTP/1.1 200 OK\r\n\r\n" + body,
    }[framing]
    reader = read([wire[at : at + cut] for at in range(0, len(wire), cut)])
    assert reader.answer is not None
    assert reader.answer.body == body


@pytest.mark.parametrize(
    ("wire", "reusable"),
    [
        pytest.param(message(), True, id="1.1 with length"),
        pytest.param(chunked(b"OK"), True, id="1.1 chunked"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", True, id="204"),
        pytest.param(message(b"OK", "Connection: close"), False, id="connection close"),
        pytest.param(message().replace(b"HTTP/1.1", b"HTTP/1.0"), False, id="1.0"),
        pytest.param(
            message(b"OK", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"), False, id="1.0 kept alive"
        ),
        pytest.param(message().replace(b"HTTP/1.1", b"HTTP/2.0"), False, id="2.0 in words"),
        pytest.param(message() + b"\r\n", False, id="a line end behind"),
        pytest.param(message() + message(), False, id="an answer behind"),
        pytest.param(chunked(b"OK") + b"H", False, id="a letter behind chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nOK", False, id="until close"),
    ],
)
def test_a_connection_is_reusable_only_when_the_answer_says_so_and_nothing_stands_behind_it(
    wire: bytes, reusable: bool
) -> None:
    assert read([wire]).reusable is reusable


@pytest.mark.parametrize(
    ("then", "seen", "failure"),
    [
        pytest.param("fin", b"", Failure.CLOSED_EARLY, id="closed at once"),
        pytest.param("fin", b"HTTP/1.1 200 OK\r\n", Failure.TRUNCATED_ANSWER, id="closed inside"),
        pytest.param("reset", b"", Failure.RESET, id="reset at once"),
        pytest.param("reset", b"HTTP/1.1 200 OK\r\n\r\nOK", Failure.RESET, id="reset instead of a clean end"),
        pytest.param("lost", b"", Failure.CLOSED_EARLY, id="lost at once"),
        pytest.param("lost", b"HTTP/1.1 200 OK\r\n\r\nOK", Failure.TRUNCATED_ANSWER, id="lost instead of a clean end"),
    ],
)
def test_an_answer_until_close_needs_a_clean_end(then: str, seen: bytes, failure: Failure) -> None:
    reader = read([seen] if seen else [], then=then)
    assert (reader.failure, reader.answer, reader.seen) == (failure, None, len(seen))


def test_headers_keep_their_order_and_spelling_and_hold_no_surrogates() -> None:
    wire = message(b"", "X-A: 1", "Set-Cookie: a=1", "set-cookie: b=2").replace(
        b"X-A: 1", b"X-A: caf\xc3\xa9\r\nX-B: caf\xe9"
    )
    answer = read([wire]).answer
    assert answer is not None
    assert answer.headers == (
        ("Content-Type", "text/plain"),
        ("X-A", "café"),
        ("X-B", "café"),
        ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("Content-Length", "0"),
    )
