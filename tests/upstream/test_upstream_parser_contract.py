"""What the edge relies on in aiohttp's C response parser. A new minor version must pass here before it is let in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp.http import HttpResponseParser
from aiohttp.http_exceptions import HttpProcessingError

from gateway.upstream import reading
from gateway.upstream.reading import MAX_FIELDS, MAX_HEAD, AnswerReader, Unpaced

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def parser() -> Iterator[HttpResponseParser]:
    loop = asyncio.new_event_loop()
    yield HttpResponseParser(
        Unpaced(loop),
        loop,
        4096,
        max_line_size=MAX_HEAD,
        max_field_size=MAX_HEAD,
        max_headers=MAX_FIELDS,
        read_until_eof=True,
        auto_decompress=False,
    )
    loop.close()


def test_the_compiled_parser_is_the_one_in_use() -> None:
    assert HttpResponseParser.__module__ == "aiohttp._http_parser"
    assert reading.parser_is_compiled()


def test_a_parser_written_in_python_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from aiohttp.http_parser import HttpResponseParserPy

    monkeypatch.setattr(reading, "HttpResponseParser", HttpResponseParserPy)
    assert not reading.parser_is_compiled()


def test_a_head_alone_gives_its_message_and_an_open_body(parser: HttpResponseParser) -> None:
    messages, upgraded, tail = parser.feed_data(OK + b"Content-Length: 3\r\nX: y\r\n\r\n")
    [(message, payload)] = messages
    assert (upgraded, tail) == (False, b"")
    assert (message.code, message.version, message.chunked, message.should_close) == (200, (1, 1), False, False)
    assert message.raw_headers == ((b"Content-Length", b"3"), (b"X", b"y"))
    assert not payload.is_eof()


def test_a_parser_without_bodies_is_done_at_the_end_of_the_head() -> None:
    loop = asyncio.new_event_loop()
    parser = AnswerReader(4096, Unpaced(loop), loop)._parser(with_body=False)
    [(message, payload)] = parser.feed_data(OK + b"Content-Length: 3\r\nX: y\r\n\r\n")[0]
    assert payload.is_eof()
    assert (message.code, message.chunked, message.should_close) == (200, False, False)
    assert message.raw_headers == ((b"Content-Length", b"3"), (b"X", b"y"))
    loop.close()


def test_a_counted_body_ends_with_its_last_byte(parser: HttpResponseParser) -> None:
    [(_, payload)] = parser.feed_data(OK + b"Content-Length: 3\r\n\r\n")[0]
    parser.feed_data(b"ab")
    assert not payload.is_eof()
    parser.feed_data(b"c")
    assert payload.is_eof()
    assert (payload.total_bytes, payload.read_nowait()) == (3, b"abc")


def test_the_end_of_chunks_is_seen_even_when_what_stands_behind_them_is_refused(parser: HttpResponseParser) -> None:
    [(_, payload)] = parser.feed_data(OK + b"Transfer-Encoding: chunked\r\n\r\n")[0]
    with pytest.raises(HttpProcessingError):
        parser.feed_data(b"3\r\nabc\r\n0\r\n\r\nGARBAGE")
    assert payload.is_eof()
    assert payload.read_nowait() == b"abc"


def test_a_second_answer_behind_chunks_comes_out_as_a_message_of_its_own(parser: HttpResponseParser) -> None:
    [(_, payload)] = parser.feed_data(OK + b"Transfer-Encoding: chunked\r\n\r\n")[0]
    messages, _, _ = parser.feed_data(b"3\r\nabc\r\n0\r\n\r\n" + OK + b"Content-Length: 6\r\n\r\nFORGED")
    assert len(messages) == 1
    assert payload.read_nowait() == b"abc"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("header", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_without_a_body_is_over_after_its_head(
    parser: HttpResponseParser, status: bytes, header: bytes
) -> None:
    [(_, payload)] = parser.feed_data(b"HTTP/1.1 " + status + b"\r\n" + header + b"\r\n")[0]
    assert payload.is_eof()
    assert payload.total_bytes == 0


@pytest.mark.parametrize("blank", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_parser_and_edge_agree_on_the_byte_that_ends_a_head(parser: HttpResponseParser, blank: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nX: a\r\n \r\n b\nContent-Length: 3" + blank
    for at in range(len(head)):
        assert reading._head_end(head[:at], 0) == -1
        assert not parser.feed_data(head[at : at + 1])[0] or at == len(head) - 1
    assert reading._head_end(head + b"abc\n\n", 0) == len(head)


def test_folded_values_are_joined_and_nothing_of_a_line_end_is_left(parser: HttpResponseParser) -> None:
    [(message, _)] = parser.feed_data(OK + b"X: a\r\n b\n\tc\r\nContent-Length: 0\r\n\r\n")[0]
    assert message.raw_headers[0] == (b"X", b"a b\tc")


def test_nothing_is_decompressed(parser: HttpResponseParser) -> None:
    [(_, payload)] = parser.feed_data(OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n")[0]
    parser.feed_data(b"abc")
    assert payload.read_nowait() == b"abc"


def test_an_error_text_quotes_what_was_read_which_is_why_none_is_ever_shown(parser: HttpResponseParser) -> None:
    with pytest.raises(HttpProcessingError, match="123-45-6789"):
        parser.feed_data(OK + b"SSN 123-45-6789\r\n\r\n")
