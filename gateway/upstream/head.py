"""The request head that goes to the legacy endpoint: what is ours, what is passed on, what is not.

The constant part is compiled once. Of the partner's headers the end-to-end ones are passed on in their order
and spelling; not passed are

- hop-by-hop headers and whatever `Connection` names (RFC 9110 7.6.1). Content-Type is not ours to lose: a
  request whose `Connection` names it would be checked as one type and read by the legacy as another, so that
  nomination is ignored;
- credentials and cookies, which belong to the partner and this hop;
- what the gateway says itself: Host, length, encodings, trace context, who forwarded for whom. A claim about the
  client's address is believed by many servers whatever its name, so the usual names of it are all dropped;
- names with anything but letters, digits and hyphens: CGI and its heirs read `X_Forwarded_For` and
  `X.Forwarded.For` as the name with hyphens. And `Proxy`, which they read as HTTP_PROXY;
- values with anything but printable ASCII: what one parser strips another one splits at.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

RawHeaders = tuple[tuple[bytes, bytes], ...]

_HOP_BY_HOP = b"connection keep-alive proxy te trailer transfer-encoding upgrade http2-settings"
_PRIVATE = b"authorization cookie cookie2"
_OURS = b"host content-length expect accept-encoding x-request-id traceparent tracestate"
_CLIENT_CLAIMS = b"forwarded x-real-ip x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip"
_DROPPED = frozenset(b" ".join((_HOP_BY_HOP, _PRIVATE, _OURS, _CLIENT_CLAIMS)).split())
_DROPPED_PREFIXES = (b"proxy-", b"x-forwarded-")

_NAME = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
_PRINTABLE = bytes(range(0x20, 0x7F))

#: Sent when the partner sent none: some firewalls turn away requests without one.
_USER_AGENT = b"User-Agent: data-post-gateway\r\n"


class Forward(NamedTuple):
    """What one lead's request head is made of.

    raw_headers: the partner's, as received. reference: the submission's, becomes X-Request-Id. client: the
    address we answer to (behind trusted proxies: the one they vouch for). scheme, host: as the partner
    addressed us; host "" when it named none. traceparent, tracestate: already decided by us (W3C), "" for none.
    version: of the partner's request, told in Via (RFC 9110 7.6.3).
    """

    raw_headers: RawHeaders
    reference: str
    client: str
    scheme: str = "http"
    host: str = ""
    traceparent: str = ""
    tracestate: str = ""
    version: tuple[int, int] = (1, 1)


#: (what is known of the lead, length of its body) -> the whole head, blank line included.
Head = Callable[[Forward, int], bytes]


def compile_head(target: str, host: str, *, credentials: tuple[str, str] | None, keep: bool) -> Head:
    """The function that writes heads for one upstream.

    target: request target, byte for byte as configured. host: value of Host. credentials: user and password
    (RFC 7617, UTF-8). keep: whether the connection may be used again.
    """
    fixed = f"POST {target} HTTP/1.1\r\nHost: {host}\r\n".encode("ascii")
    ours = b"Accept-Encoding: identity\r\n"
    if not keep:
        ours += b"Connection: close\r\n"
    if credentials is not None:
        ours += b"Authorization: Basic " + b64encode(":".join(credentials).encode()) + b"\r\n"

    def head(forward: Forward, length: int) -> bytes:
        passed, agent = _passed(forward.raw_headers)
        host = forward.host
        via = "1.1" if forward.version == (1, 1) else "1.0"
        tail = f"Via: {via} gateway\r\nX-Forwarded-For: {forward.client}\r\nX-Forwarded-Proto: {forward.scheme}\r\n"
        # Host is the partner's word: what could not stand in a header is left out.
        if host and host.isascii() and host.isprintable():
            tail += f"X-Forwarded-Host: {host}\r\n"
        if forward.traceparent:
            tail += f"traceparent: {forward.traceparent}\r\n"
            if forward.tracestate:
                tail += f"tracestate: {forward.tracestate}\r\n"
        tail += f"X-Request-Id: {forward.reference}\r\nContent-Length: {length}\r\n\r\n"
        return b"".join((fixed, passed, b"" if agent else _USER_AGENT, ours, tail.encode("ascii")))

    return head


_PASS, _DROP, _AGENT, _CONNECTION = range(4)


@lru_cache(maxsize=512)
def _judge(name: bytes) -> int:
    """What becomes of a header, by its name alone. Partners' clients send few names, again and again."""
    lower = name.lower()
    if lower == b"connection":
        return _CONNECTION
    if not name or name.translate(None, _NAME) or lower in _DROPPED or lower.startswith(_DROPPED_PREFIXES):
        return _DROP
    return _AGENT if lower == b"user-agent" else _PASS


def _passed(raw_headers: RawHeaders) -> tuple[bytes, bool]:
    """The partner's headers that go on, each with its line end; whether a User-Agent is among them."""
    kept: list[bytes] = []
    named: frozenset[bytes] = frozenset()
    agent = False
    for name, value in raw_headers:
        verdict = _judge(name)
        if verdict == _DROP:
            continue
        if verdict == _CONNECTION:
            named |= _nominated(value)
            continue
        if verdict == _AGENT:
            agent = True
        kept.append(b"%b: %b\r\n" % (name, value))
    block = b"".join(kept)
    # One look at the whole; only when it finds something foreign, one at each.
    if named or block.translate(None, _PRINTABLE) != b"\r\n" * len(kept):
        kept = [line for line in kept if _printable(line) and line.partition(b":")[0].lower() not in named]
        return b"".join(kept), any(line[:11].lower() == b"user-agent:" for line in kept)
    return block, agent


def _printable(line: bytes) -> bool:
    return not line[:-2].translate(None, _PRINTABLE)


def _nominated(value: bytes) -> frozenset[bytes]:
    """The lower-case field names that one Connection header names, beyond those never passed on."""
    tokens = {token.strip(b" \t").lower() for token in value.split(b",")}
    return frozenset(tokens - {b"close", b"keep-alive", b"upgrade", b"te", b"content-type", b""})
