"""What the edge relies on in aiohttp's C request parser; a new version is let in when this holds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from gateway.intake import selfcheck
from gateway.intake.chunks import ChunkWalk
from tests.support.raw_requests import CHUNK, END, FIRST_CHUNKED, HOST, LEAD, chunked, framed, head, post


class _Quiet(BaseProtocol):
    paused = 0

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing to resume."""


class Parsing:
    """A parser as the edge makes it."""

    def __init__(self, *, with_body: bool = True) -> None:
        self.loop = asyncio.new_event_loop()
        self.protocol = _Quiet(self.loop)
        self.parser = HttpRequestParser(
            self.protocol,
            self.loop,
            2**30,
            max_line_size=16384,
            max_field_size=16384,
            max_headers=64,
            response_with_body=with_body,
            auto_decompress=False,
        )

    def feed(self, data: bytes) -> list[tuple[Any, Any]]:
        return list(self.parser.feed_data(data)[0])


@pytest.fixture
def parsing() -> Any:
    parsing = Parsing()
    yield parsing
    parsing.loop.close()


SAID = ("method", "path", "version", "headers", "raw_headers", "should_close", "chunked")


def test_a_parser_without_bodies_is_done_with_a_request_at_the_end_of_its_head(parsing: Any) -> None:
    heads = Parsing(with_body=False)
    for length in (5, 0, 1000):
        one = head(HOST, b"Content-Length: %d" % length, b"X: y")
        [(message, payload)] = heads.feed(one)
        [(other, _)] = parsing.feed(one + bytes(length))
        assert payload.is_eof()
        assert [getattr(message, name) for name in SAID] == [getattr(other, name) for name in SAID]
    heads.loop.close()


def test_the_parser_is_the_c_one() -> None:
    assert HttpRequestParser.__module__ == "aiohttp._http_parser"
    assert selfcheck.refuse_without_c_parser() is None


def test_the_gateway_refuses_the_pure_python_parser() -> None:
    code = "from gateway.intake.selfcheck import refuse_without_c_parser; print(refuse_without_c_parser())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"AIOHTTP_NO_EXTENSIONS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pure-Python parser" in run.stdout
    assert run.stdout.count("\n") == 1


@pytest.mark.parametrize("version", ["3.14.4", "3.13.9", "3.15.0", "4.0.0a1", "nonsense"])
def test_the_gateway_refuses_versions_it_is_not_tested_with(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiohttp.__version__", version)
    assert version in str(selfcheck.refuse_without_c_parser())


def test_the_range_is_the_one_of_the_project_file() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    oldest, next_minor = (".".join(map(str, version)) for version in (selfcheck.OLDEST, selfcheck.NEXT_MINOR))
    assert f"aiohttp>={oldest},<{next_minor}" in project["project"]["dependencies"]


def test_one_head_gives_one_message_with_what_was_sent(parsing: Parsing) -> None:
    ((message, payload),) = parsing.feed(framed(b"X-Name: \tva lue\t ", b"x-name: 2", first=b"POST /a?b#c HTTP/1.1"))
    assert (message.method, message.path, tuple(message.version)) == ("POST", "/a?b#c", (1, 1))
    assert message.headers.getall("X-Name") == ["va lue", "2"]
    assert message.raw_headers[-2:] == ((b"X-Name", b"va lue"), (b"x-name", b"2"))
    assert payload.is_eof()
    assert payload.read_nowait(-1) == b""


def test_octets_beyond_ascii_become_surrogates_or_text_and_stay_in_the_raw_fields(parsing: Parsing) -> None:
    ((message, _),) = parsing.feed(framed(b"Referer: \xe9", b"X-Name: \xc3\xa9"))
    assert (message.headers["Referer"], message.headers["X-Name"]) == ("\udce9", "é")
    assert message.raw_headers[-2:] == ((b"Referer", b"\xe9"), (b"X-Name", b"\xc3\xa9"))


def test_a_body_may_come_with_its_head_or_later(parsing: Parsing) -> None:
    ((_, payload),) = parsing.feed(post())
    assert payload.is_eof()
    ((_, payload),) = parsing.feed(post()[: -len(LEAD)])
    assert not payload.is_eof()
    assert parsing.feed(LEAD) == []
    assert payload.is_eof()
    assert payload.read_nowait(-1) == LEAD


def test_a_body_without_its_last_byte_is_not_at_its_end(parsing: Parsing) -> None:
    for wire in (post(), FIRST_CHUNKED):
        ((_, payload),) = parsing.feed(wire[:-1])
        assert not payload.is_eof()
        parsing.feed(wire[-1:])
        assert payload.is_eof()


def test_one_parser_reads_request_after_request(parsing: Parsing) -> None:
    for wire in (
        post(),
        FIRST_CHUNKED,
        framed(),
        head(HOST, first=b"HEAD / HTTP/1.1"),
        post(first=b"GET / HTTP/1.1"),
    ) * 3:
        assert len(parsing.feed(wire)) == 1


def test_a_body_is_never_decompressed(parsing: Parsing) -> None:
    ((message, payload),) = parsing.feed(post(b"Content-Encoding: gzip"))
    assert message.compression == "gzip"
    assert payload.read_nowait(-1) == LEAD


def test_nothing_makes_the_parser_pause(parsing: Parsing) -> None:
    body = b"x" * 1024 * 1024
    parsing.feed(post(body=body))
    ((_, payload),) = parsing.feed(chunked(b"1\r\nx\r\n" * 100_000 + END))
    assert payload.read_nowait(-1) == b"x" * 100_000
    assert parsing.protocol.paused == 0 or payload.is_eof()


@pytest.mark.parametrize(
    "wire",
    [
        post(b"Connection: Upgrade", b"Upgrade: websocket"),
        post(b"Connection: Upgrade", b"Upgrade: h2c"),
        chunked(CHUNK + END, b"Connection: Upgrade", b"Upgrade: websocket"),
        framed(b"Connection: Upgrade", b"Upgrade: websocket"),
    ],
    ids=["websocket", "h2c", "chunked", "without a body"],
)
def test_an_upgrade_is_a_message_like_any_other_and_its_body_is_read(parsing: Parsing, wire: bytes) -> None:
    ((_, payload),) = parsing.feed(wire)
    assert payload.is_eof()
    assert payload.read_nowait(-1) in (LEAD, b"")


@pytest.mark.parametrize(
    ("lines", "first", "closes"),
    [
        ((), b"POST /leads HTTP/1.1", False),
        ((b"Connection: close",), b"POST /leads HTTP/1.1", True),
        ((b"Connection: x, CLOSE",), b"POST /leads HTTP/1.1", True),
        ((b"Connection: x", b"Connection: close"), b"POST /leads HTTP/1.1", True),
        ((), b"POST /leads HTTP/1.0", True),
        ((b"Connection: Keep-Alive",), b"POST /leads HTTP/1.0", False),
    ],
)
def test_the_message_says_whether_its_connection_is_kept(
    parsing: Parsing, lines: tuple[bytes, ...], first: bytes, closes: bool
) -> None:
    ((message, _),) = parsing.feed(post(*lines, first=first))
    assert message.should_close is closes


@pytest.mark.parametrize(
    "wire",
    [
        framed(b"X-Name : value"),
        framed(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        framed(b"Content-Length: 18446744073709551616"),
        chunked(b"xyz\r\n"),
        chunked(CHUNK + b"0\r\nContent-Length: 3\r\n\r\n"),
        chunked(CHUNK + b"0\r\n" + b"X-Sum: 1\r\n" * 100 + b"\r\n"),
        post(first=b"SUBMIT /leads HTTP/1.1"),
        post(b"Sec-WebSocket-Key1: x"),
    ],
)
def test_what_it_refuses_it_refuses_by_one_family_of_exceptions(parsing: Parsing, wire: bytes) -> None:
    with pytest.raises(HttpProcessingError):
        parsing.feed(wire)


def test_its_exceptions_quote_what_was_sent_and_so_are_never_shown(parsing: Parsing) -> None:
    with pytest.raises(HttpProcessingError, match="c2VjcmV0"):
        parsing.feed(head(HOST, b"Authorization : Basic c2VjcmV0"))


_sizes = st.builds(
    lambda size, text: b"%x%b" % (size, text), st.integers(0, 40), st.sampled_from([b"", b";a=b", b" ", b";"])
)
_pieces = st.one_of(
    _sizes,
    st.sampled_from(
        [b"\r\n", b"\r\n", b"\r\n", b"0\r\n\r\n", b"0\r\n", b"\n", b"\r", b"X: y\r\n", b"Content-Length: 1\r\n"]
    ),
    st.binary(max_size=12),
)
_wires = st.one_of(
    st.lists(_pieces, max_size=14).map(b"".join),
    st.lists(st.binary(min_size=1, max_size=20), max_size=6).map(
        lambda datas: b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in datas) + END
    ),
)


@given(_wires, st.binary(max_size=8))
def test_where_we_see_a_chunked_body_end_the_parser_sees_it_end_or_refuses_it(wire: bytes, behind: bytes) -> None:
    end = ChunkWalk(4096).end(bytearray(wire + behind))
    if not isinstance(end, int):
        return
    parsing = Parsing()
    try:
        ((_, payload),) = parsing.feed(chunked(b""))
        try:
            parsing.feed((wire + behind)[:end])
        except HttpProcessingError:
            return
        assert payload.is_eof(), "the parser still waits where we see the end"
    finally:
        parsing.loop.close()


@given(_wires, st.data())
def test_a_chunked_body_ends_at_the_same_place_however_it_is_cut(wire: bytes, data: st.DataObject) -> None:
    whole = ChunkWalk(4096).end(bytearray(wire))
    walk, buffer, end = ChunkWalk(4096), bytearray(), None
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(wire))), max_size=len(wire))) | {len(wire)})
    for start, stop in zip([0, *cuts], cuts, strict=False):
        buffer += wire[start:stop]
        end = walk.end(buffer)
        if end is not None:
            break
    assert end == whole
