"""Where a request comes from, behind proxies that we trust: the client's address, whether it may connect, its scheme.

X-Forwarded-For is a claim that anybody can write; each proxy adds on the right whom it saw. So it is believed only
when whoever connected is a trusted proxy, is read from the right, and ends at the first address that is not
trusted: what stands further left was written by that one. An entry that cannot be read there leaves the client
unknown, and an unknown client is in no network. Addresses are compared as addresses: an IPv4 address that arrived
as IPv6 (`::ffff:192.0.2.1`) is the IPv4 one; zone ids are refused.

X-Forwarded-Proto is believed of the same proxies. Of several values the last one counts: whoever connected wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from gateway.settings.problems import Report, loose_report

#: The client when it cannot be known (RFC 7239 6.2 has the word); in no network.
UNKNOWN = "unknown"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
#: (address of whoever connected, values of the X-Forwarded-For lines in order) -> the client's address as text.
ClientAddress = Callable[[str, Sequence[str]], str]
#: (address of whoever connected, values of the X-Forwarded-Proto lines in order) -> http or https.
ClientScheme = Callable[[str, Sequence[str]], str]

#: What is spoken on our own port: TLS ends before it.
OUR_SCHEME = "http"
_SCHEMES = ("http", "https")

_ALLOWED = "a network such as 192.0.2.0/24 or 2001:db8::/32, or one address"
# Only trusted hosts can write this many entries where they are read; they do not.
_MOST_HOPS = 32
_MOST_KEPT = 4096
# What a provider gives one IPv6 customer at least (RFC 6177): a host in it has every address of it.
_ONE_HOST = 64
_PORT = re.compile(r":[0-9]{1,5}")


def compile_networks(texts: Sequence[str], report: Report) -> Callable[[str], bool] | None:
    """Whether an address (as `ClientAddress` gives it) may connect; None when everybody may."""
    networks = _networks(texts, report)
    return _membership(networks) if texts else None


def compile_client_address(trusted_proxies: Sequence[str], report: Report) -> ClientAddress:
    """How the client's address is found. Without trusted proxies it is the address of whoever connected."""
    networks = _networks(trusted_proxies, report)
    if any(network.prefixlen == 0 for network in networks):
        report.warn("trusts everybody: any client can claim any address", "the proxies' networks")
    if not networks:
        return lambda peer, forwarded_for: canonical(peer)
    trusted = _membership(networks)

    def client_address(peer: str, forwarded_for: Sequence[str]) -> str:
        client = canonical(peer)
        if not forwarded_for or not trusted(client):
            return client
        # RFC 9110 5.6.1.2: empty elements of a list count for nothing.
        entries = [entry for entry in (part.strip(" \t") for part in ",".join(forwarded_for).split(",")) if entry]
        for hop, entry in enumerate(reversed(entries)):
            client = forwarded(entry)
            if client == UNKNOWN or hop == _MOST_HOPS:
                return UNKNOWN
            if not trusted(client):
                break
        return client

    return client_address


def compile_client_scheme(trusted_proxies: Sequence[str]) -> ClientScheme:
    """How the client addressed the first trusted proxy, or us. What is wrong with the networks is not told again."""
    networks = _networks(trusted_proxies, loose_report())
    if not networks:
        return lambda peer, forwarded_proto: OUR_SCHEME
    trusted = _membership(networks)

    def client_scheme(peer: str, forwarded_proto: Sequence[str]) -> str:
        if not forwarded_proto or not trusted(canonical(peer)):
            return OUR_SCHEME
        said = forwarded_proto[-1].rpartition(",")[2].strip(" \t").lower()
        return said if said in _SCHEMES else OUR_SCHEME

    return client_scheme


@lru_cache(_MOST_KEPT)
def canonical(text: str) -> str:
    """An address in its one spelling; UNKNOWN when the text is none."""
    address = _parse(text)
    return UNKNOWN if address is None else str(address)


@lru_cache(_MOST_KEPT)
def forwarded(entry: str) -> str:
    """The address in one entry of X-Forwarded-For, which may have a port and brackets; UNKNOWN if there is none."""
    if entry.startswith("["):
        host, bracket, port = entry[1:].partition("]")
        if not bracket or ":" not in host or (port and not _is_port(port)):
            return UNKNOWN
        return canonical(host)
    host, colon, port = entry.partition(":")
    if colon and ":" not in port:  # one colon: IPv4 with a port; more: IPv6 without one
        return canonical(host) if "." in host and _is_port(colon + port) else UNKNOWN
    return canonical(entry)


@lru_cache(_MOST_KEPT)
def neighbourhood(client: str) -> str:
    """What counts as one client where a host's share is bounded: an IPv4 address, or the /64 of an IPv6 one."""
    address = _parse(client)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _ONE_HOST), strict=False))
    return UNKNOWN if address is None else str(address)


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and 0 < int(text[1:]) < 65536


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def _membership(networks: Sequence[Network]) -> Callable[[str], bool]:
    @lru_cache(_MOST_KEPT)
    def member(text: str) -> bool:
        address = _parse(text)
        return address is not None and any(address in network for network in networks)

    return member


def _networks(texts: Sequence[str], report: Report) -> tuple[Network, ...]:
    networks: list[Network] = []
    for index, text in enumerate(texts):
        network = _network(text, report.at(index))
        if network is not None:
            networks.append(network)
    return tuple(networks)


def _network(text: str, report: Report) -> Network | None:
    host, slash, prefix = text.partition("/")
    try:
        address, network = ip_address(host), ip_network(text, strict=False)
    except ValueError:
        report.error("is no network", _ALLOWED)
        return None
    if slash and not prefix.isdigit():
        report.error("has a mask instead of a prefix length", str(network))
        return None
    if isinstance(network, IPv6Network):
        if "%" in text:
            report.error("has a zone id", _ALLOWED)
            return None
        if (mapped := network.network_address.ipv4_mapped) is not None and network.prefixlen >= 96:
            report.error("is an IPv4 network written as IPv6", f"{mapped}/{network.prefixlen - 96}")
            return None
    if network.network_address != address:
        report.error("has bits set beyond its prefix", str(network))
        return None
    return network
