"""The `upstream:` block, compiled: an address, a head writer, a TLS context and limits. Needs no event loop."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from gateway.settings.models import UpstreamAuth, UpstreamSettings
from gateway.settings.problems import Report
from gateway.upstream.head import Head, compile_head
from gateway.upstream.reading import parser_is_compiled

# scheme, host (IPv6 in brackets), port, target. Taken apart by hand because the target goes out byte for byte,
# and every URL library normalises something.
_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?([/?].*)?", re.ASCII)
_URL_ALLOWED = "http://host/path or https://host:port/path, in printable ASCII"
_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamPlan:
    """What `Upstream` runs on. Durations in seconds, sizes in bytes. Holds no secret that a repr would show."""

    host: str  # a name, or an address without brackets
    port: int
    tls: ssl.SSLContext | None
    head: Head
    connect_s: float
    first_byte_s: float
    total_s: float
    keep_alive_s: float
    late_answer_s: float
    max_in_flight: int
    max_answer: int
    circuit_failures: int
    circuit_open_s: float


def compile_upstream(settings: UpstreamSettings, report: Report) -> UpstreamPlan:
    """Compile the block; what is wrong goes to the report, and then the plan is not for use."""
    if not parser_is_compiled():
        report.error("aiohttp's C parser is missing: this installation reads legacy answers differently")
    scheme, host, port, target = _address(settings.url, report.at("url"))
    shown = f"[{host}]" if ":" in host else host
    times = settings.timeouts
    for name, seconds in (("connect", times.connect), ("first_byte", times.first_byte)):
        if seconds > times.total:
            report.at("timeouts", name).error(f"is longer than total ({times.total:g}s)", "at most total")
    if settings.auth is not None:
        _check_credentials(settings.auth, report.at("auth"))
        if scheme == "http" and not _is_loopback(host):
            report.at("auth").warn("the password crosses the network in clear text", "an https:// url")
    return UpstreamPlan(
        host=host,
        port=port,
        tls=_tls(scheme, settings.tls.ca, report.at("tls", "ca")),
        head=compile_head(
            target,
            shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}",
            credentials=None if settings.auth is None else (settings.auth.user, settings.auth.password.reveal()),
            keep=settings.keep_alive > 0,
        ),
        connect_s=times.connect,
        first_byte_s=times.first_byte,
        total_s=times.total,
        keep_alive_s=settings.keep_alive,
        late_answer_s=settings.late_answer,
        max_in_flight=settings.max_in_flight,
        max_answer=settings.max_answer,
        circuit_failures=settings.circuit.failures,
        circuit_open_s=settings.circuit.open_for,
    )


def _address(url: str, report: Report) -> tuple[str, str, int, str]:
    """Scheme, host, port and target of the url; a harmless stand-in beside an error."""
    bad = ("http", "localhost", 80, "/")
    if not (url.isascii() and url.isprintable() and " " not in url):
        report.error("has characters that a URL cannot hold", _URL_ALLOWED)
        return bad
    if "#" in url:
        report.error("has a fragment, which is never sent", "the part before the #")
        return bad
    if "@" in url.partition("://")[2].partition("/")[0]:
        report.error("holds credentials", "auth: {user: …, password: …} beside it")
        return bad
    if (found := _URL.fullmatch(url)) is None:
        report.error("is no URL that leads can be posted to", _URL_ALLOWED)
        return bad
    scheme, host, digits, target = found[1], found[2].strip("[]"), found[3], found[4] or "/"
    port = int(digits) if digits else _DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65535:
        report.error(f"port {port} does not exist", "1 to 65535")
        return bad
    bracketed = found[2].startswith("[")
    if (bracketed or host.replace(".", "").isdigit()) and not (_is_address(host) and bracketed == (":" in host)):
        report.error("the host is no valid address", "a name, an IPv4 address, or an IPv6 address in brackets")
        return bad
    return scheme, host, port, target if target.startswith("/") else f"/{target}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _check_credentials(auth: UpstreamAuth, report: Report) -> None:
    # RFC 7617 section 2: the first colon ends the user, and neither part has control characters.
    if ":" in auth.user:
        report.at("user").error("has a colon, at which the password would begin", "any other character")
    for key, text in (("user", auth.user), ("password", auth.password.reveal())):
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
            report.at(key).error("has a control character (a line end perhaps)", "printable characters")


def _tls(scheme: str, authorities: Path | None, report: Report) -> ssl.SSLContext | None:
    """The context that verifies the legacy's certificate and name; None for http."""
    if scheme != "https":
        if authorities is not None:
            report.error("is never used: the url is not https", "an https:// url, or no ca")
        return None
    try:
        # Given a file, these authorities and no others.
        context = ssl.create_default_context(cafile=authorities)
    except ssl.SSLError:
        report.error("holds no certificate that can be read", "a file of PEM certificates")
        return None
    except OSError as error:
        report.error(f"cannot be read ({error.strerror or 'no such file'})", "a file of PEM certificates")
        return None
    context.set_alpn_protocols(["http/1.1"])
    return context
