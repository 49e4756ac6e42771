"""The demo's legacy lead endpoint: deliberately awkward, as real ones are. Its mood is the email's local part.

It answers what such systems answer: a line with pipes, a thank-you page, SOAP with XML escaped inside it,
a redirect, an error page with status 200, a stack trace, or nothing at all.
"""

from __future__ import annotations

import asyncio
import html
import itertools
from collections.abc import Callable
from urllib.parse import parse_qs, quote

_LARGEST = 256 * 1024  # bytes of one request; the gateway before it sends less


def _answer(status: str, content_type: str, body: str, *headers: str) -> bytes:
    data = body.encode()
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(data)}",
        *headers,
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + data


def _pipes(number: int) -> bytes:
    return _answer("200 OK", "text/plain", f"OK|{number}|10.00|177")


def _page(number: int) -> bytes:
    reference = f'<p class="ref">Your reference: <b>{number}</b></p>'
    text = f"<!DOCTYPE html><html><body><h1>Thank you!</h1>{reference}</body></html>"
    return _answer("200 OK", "text/html; charset=iso-8859-1", text)


def _soap(number: int) -> bytes:
    inner = (
        '<?xml version="1.0" encoding="utf-16"?>'
        f"<Lead><Status>Success</Status><Id>{number}</Id><Price>12.50</Price></Lead>"
    )
    text = (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><SubmitLeadResponse>'
        f"<SubmitLeadResult>{html.escape(inner)}</SubmitLeadResult></SubmitLeadResponse></soap:Body></soap:Envelope>"
    )
    return _answer("200 OK", "text/xml", text)


def _redirect(number: int) -> bytes:
    return _answer("302 Found", "text/html", "", f"Location: /thank-you?lead={number}")


def _refused(number: int) -> bytes:
    return _answer(
        "302 Found", "text/html", "", f"Location: /form?error={quote('The loan amount is too low in your state')}"
    )


def _duplicate(number: int) -> bytes:
    return _answer(
        "200 OK",
        "text/html",
        '<html><body><div class="error"><li>This person is already registered.</li></div></body></html>',
    )


def _crash(number: int) -> bytes:
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/srv/lead.py", line 41, in insert\n'
        "OperationalError: too many connections"
    )
    return _answer("500 Internal Server Error", "text/plain", trace)


def _riddle(number: int) -> bytes:
    return _answer("200 OK", "text/html", "<html><body>Maintenance from 2 to 4. </body></html>")


#: mood (the local part of the email): what it answers; every other lead gets the line with pipes.
MOODS: dict[str, Callable[[int], bytes]] = {
    "page": _page,
    "soap": _soap,
    "redirect": _redirect,
    "refused": _refused,
    "duplicate": _duplicate,
    "crash": _crash,
    "riddle": _riddle,
}
#: This mood reads the lead and hangs up without a word.
SILENT = "silent"


class Legacy:
    """The endpoint, listening until `close`. Leads are numbered from 98."""

    def __init__(self) -> None:
        self._numbers = itertools.count(98)
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_LARGEST)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            body = await _body(reader)
            email = (parse_qs(body).get("email") or [""])[0]
            mood = email.partition("@")[0]
            if mood != SILENT:
                writer.write(MOODS.get(mood, _pipes)(next(self._numbers)))
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # whoever sent nonsense is not answered: the gateway never does
        finally:
            writer.close()


async def _body(reader: asyncio.StreamReader) -> str:
    """The body of one request with a Content-Length. Raises EOFError, ValueError, LimitOverrunError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("\ncontent-length:")[2].partition("\r")[0] or 0)
    if not 0 <= length <= _LARGEST:
        raise ValueError("length")
    return (await reader.readexactly(length)).decode()
