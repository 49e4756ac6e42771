"""Addresses to listen on, as they are written: `host:port`, `[v6]:port`."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_ADDRESS = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([0-9]{1,5})", re.ASCII)
_is_host_name = re.compile(
    r"(?!.{254})[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*",
    re.ASCII | re.IGNORECASE,
).fullmatch
_ALLOWED = "host:port, such as 127.0.0.1:8080 or [::1]:8080"


def parse_address(text: str) -> tuple[str, int]:
    """`host:port` as (host, port); an IPv6 host without its brackets. Port 0 is any free one.

    Raises ValueError, `what is wrong; what is allowed`, which quotes nothing of the text.
    """
    if (found := _ADDRESS.fullmatch(text)) is None:
        raise ValueError(f"is no address; {_ALLOWED}")
    inside, outside, port = found[1], found[2], int(found[3])
    if port > 65535:
        raise ValueError("has a port that does not exist; 0 to 65535")
    if inside is not None:
        if not isinstance(ip(inside), IPv6Address):
            raise ValueError(f"has no IPv6 address in its brackets; {_ALLOWED}")
        return inside, port
    if not outside:
        raise ValueError("has no host; 127.0.0.1 for this machine alone, 0.0.0.0 or [::] for everybody")
    if ip(outside) is None and (not _is_host_name(outside) or outside.replace(".", "").isdigit()):
        raise ValueError(f"has no valid host; {_ALLOWED}")
    return outside, port


def ip(host: str) -> IPv4Address | IPv6Address | None:
    """The host as an IP address; None when it is a name or nothing at all."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    address = ip(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def collide(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two endpoints cannot both be listened on."""
    if one[1] != other[1] or one[1] == 0:
        return False
    hosts = {one[0].lower(), other[0].lower()}
    if len(hosts) == 1 or any(address is not None and address.is_unspecified for address in map(ip, hosts)):
        return True
    return "localhost" in hosts and all(map(is_loopback, hosts))
