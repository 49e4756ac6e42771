"""The client's address behind trusted proxies, and the networks that may connect."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.intake.address import (
    UNKNOWN,
    canonical,
    compile_client_address,
    compile_client_scheme,
    compile_networks,
    forwarded,
)
from gateway.settings.problems import loose_report

PROXIES = ("10.0.0.0/8", "2001:db8:1::/48")
client_address = compile_client_address(PROXIES, loose_report())


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        pytest.param("192.0.2.1", [], "192.0.2.1", id="no proxy"),
        pytest.param("192.0.2.1", ["203.0.113.9"], "192.0.2.1", id="a claim of somebody untrusted"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="one proxy"),
        pytest.param("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9", id="two proxies"),
        pytest.param("10.0.0.1", ["203.0.113.9", "10.0.0.2"], "203.0.113.9", id="two lines"),
        pytest.param("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9", id="a claim before the first proxy"),
        pytest.param("10.0.0.1", ["10.0.0.9, 203.0.113.9, 10.0.0.2"], "203.0.113.9", id="a trusted address claimed"),
        pytest.param("10.0.0.1", ["garbage, 203.0.113.9"], "203.0.113.9", id="garbage left of the client"),
        pytest.param("10.0.0.1", ["203.0.113.9, garbage"], UNKNOWN, id="garbage where the client should be"),
        pytest.param("10.0.0.1", ["unknown"], UNKNOWN, id="a proxy that does not know"),
        pytest.param("10.0.0.1", ["203.0.113.9, garbage, 10.0.0.2"], UNKNOWN, id="garbage between proxies"),
        pytest.param("10.0.0.1", ["10.0.0.5, 10.0.0.2"], "10.0.0.5", id="a client among the proxies' network"),
        pytest.param("10.0.0.1", [" 203.0.113.9 ,, \t10.0.0.2 ,"], "203.0.113.9", id="empty elements and spaces"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="an empty line"),
        pytest.param("10.0.0.1", ["203.0.113.9:51234"], "203.0.113.9", id="IPv4 with a port"),
        pytest.param("10.0.0.1", ["[2001:db8::7]:51234"], "2001:db8::7", id="IPv6 with a port"),
        pytest.param("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7", id="IPv6 in brackets"),
        pytest.param("10.0.0.1", ["2001:DB8:0::7"], "2001:db8::7", id="IPv6 in another spelling"),
        pytest.param("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9", id="IPv4 as IPv6"),
        pytest.param("10.0.0.1", ["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9", id="a proxy written as IPv6"),
        pytest.param("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="a proxy on a dual-stack listener"),
        pytest.param("::ffff:192.0.2.1", ["203.0.113.9"], "192.0.2.1", id="a client on a dual-stack listener"),
        pytest.param("2001:db8:1::5", ["2001:db8::7"], "2001:db8::7", id="an IPv6 proxy"),
        pytest.param("10.0.0.1", ["fe80::1%eth0"], UNKNOWN, id="a zone id"),
        pytest.param("10.0.0.1", ["203.0.113.9:0"], UNKNOWN, id="port 0"),
        pytest.param("10.0.0.1", ["203.0.113.9:65536"], UNKNOWN, id="no port"),
        pytest.param("10.0.0.1", ["203.0.113.9:"], UNKNOWN, id="an empty port"),
        pytest.param("10.0.0.1", ["203.0.113.9:+1"], UNKNOWN, id="a signed port"),
        pytest.param("10.0.0.1", ["[203.0.113.9]:80"], UNKNOWN, id="IPv4 in brackets"),
        pytest.param("10.0.0.1", ["[2001:db8::7"], UNKNOWN, id="an open bracket"),
        pytest.param("10.0.0.1", ["[2001:db8::7]x"], UNKNOWN, id="text behind the bracket"),
        pytest.param("10.0.0.1", ["203.0.113.09"], UNKNOWN, id="a leading zero"),
        pytest.param("10.0.0.1", ["3405803785"], UNKNOWN, id="a number"),
        pytest.param("10.0.0.1", ["proxy.example.com:80"], UNKNOWN, id="a name"),
        pytest.param("10.0.0.1", [", ".join(["10.0.0.2"] * 32)], "10.0.0.2", id="32 proxies"),
        pytest.param(
            "10.0.0.1", [", ".join(["203.0.113.9"] + ["10.0.0.2"] * 40)], UNKNOWN, id="more proxies than there are"
        ),
        pytest.param("", ["203.0.113.9"], UNKNOWN, id="a peer without an address"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(
    peer: str, forwarded_for: list[str], client: str
) -> None:
    assert client_address(peer, forwarded_for) == client


def test_without_trusted_proxies_the_client_is_whoever_connected() -> None:
    nobody = compile_client_address((), loose_report())
    assert nobody("192.0.2.1", ["203.0.113.9"]) == "192.0.2.1"
    assert nobody("::ffff:192.0.2.1", ["203.0.113.9"]) == "192.0.2.1"


@settings(deadline=None)
@given(peer=st.ip_addresses().map(str), lines=st.lists(st.text(), max_size=3))
def test_any_header_gives_an_address_or_unknown(peer: str, lines: list[str]) -> None:
    found = client_address(peer, lines)
    assert found == UNKNOWN or canonical(found) == found


@settings(deadline=None)
@given(
    spoofed=st.lists(st.ip_addresses().map(str) | st.text(alphabet="x,. :[]"), max_size=4), client=st.ip_addresses(v=4)
)
def test_nothing_that_a_client_writes_changes_its_address(spoofed: list[str], client: object) -> None:
    address = str(client)
    if ip_address(address).is_private and address.startswith("10."):
        return
    assert client_address("10.0.0.1", [*spoofed, address]) == address


@settings(deadline=None)
@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_entry_is_read_with_and_without_a_port(address: object, port: int) -> None:
    text = str(address)
    with_port = f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
    assert forwarded(text) == forwarded(with_port) == canonical(text)


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        pytest.param(["192.0.2.0/24"], "192.0.2.255", True, id="inside"),
        pytest.param(["192.0.2.0/24"], "192.0.3.0", False, id="outside"),
        pytest.param(["192.0.2.7"], "192.0.2.7", True, id="one address"),
        pytest.param(["192.0.2.7"], "192.0.2.8", False, id="another address"),
        pytest.param(["192.0.2.0/24"], "::ffff:192.0.2.1", True, id="IPv4 as IPv6"),
        pytest.param(["2001:db8::/32"], "2001:db8:ffff::1", True, id="IPv6"),
        pytest.param(["2001:db8::/32"], "192.0.2.1", False, id="IPv4 in an IPv6 network"),
        pytest.param(["198.51.100.0/24", "192.0.2.0/24"], "192.0.2.1", True, id="the second of two"),
        pytest.param(["0.0.0.0/0"], "2001:db8::1", False, id="all of IPv4"),
        pytest.param(["0.0.0.0/0", "::/0"], UNKNOWN, False, id="unknown is nowhere"),
        pytest.param(["0.0.0.0/0", "::/0"], "", False, id="nothing is nowhere"),
        pytest.param(["fe80::/10"], "fe80::1%eth0", False, id="a zone id is nowhere"),
    ],
)
def test_an_address_may_connect_when_it_is_in_a_network(networks: list[str], address: str, allowed: bool) -> None:
    report = loose_report()
    member = compile_networks(networks, report)
    assert report.problems == []
    assert member is not None
    assert member(address) is allowed
    assert member(address) is allowed  # as remembered


def test_without_networks_everybody_may_connect() -> None:
    assert compile_networks((), loose_report()) is None


@pytest.mark.parametrize(
    ("text", "wrong", "allowed"),
    [
        pytest.param("192.0.2.1/24", "has bits set beyond its prefix", "192.0.2.0/24", id="bits beyond"),
        pytest.param("2001:db8::1/32", "has bits set beyond its prefix", "2001:db8::/32", id="bits beyond, IPv6"),
        pytest.param("192.0.2.0/33", "is no network", "a network such as", id="prefix too long"),
        pytest.param("192.0.2", "is no network", "a network such as", id="three numbers"),
        pytest.param("010.0.0.0/8", "is no network", "a network such as", id="leading zero"),
        pytest.param("192.0.2.0/255.255.255.0", "has a mask instead of a prefix length", "192.0.2.0/24", id="mask"),
        pytest.param("192.0.2.0/0.0.0.255", "has a mask instead of a prefix length", "192.0.2.0/24", id="host mask"),
        pytest.param("::ffff:192.0.2.0/120", "is an IPv4 network written as IPv6", "192.0.2.0/24", id="IPv4 as IPv6"),
        pytest.param("fe80::1%eth0", "has a zone id", "a network such as", id="zone id"),
        pytest.param("localhost", "is no network", "a network such as", id="name"),
        pytest.param("", "is no network", "a network such as", id="nothing"),
        pytest.param("192.0.2.0/", "is no network", "a network such as", id="no prefix"),
    ],
)
def test_what_is_no_network_is_reported_where_it_stands(text: str, wrong: str, allowed: str) -> None:
    for compiler in (compile_networks, compile_client_address):
        report = loose_report()
        compiler(["192.0.2.0/24", text], report.at("networks"))
        [found] = report.problems
        assert (found.key, found.wrong) == ("networks[1]", wrong)
        assert found.allowed.startswith(allowed)


def test_a_wrong_network_never_lets_everybody_in() -> None:
    member = compile_networks(["nonsense"], loose_report())
    assert member is not None
    assert member("192.0.2.1") is False


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_trusting_everybody_is_a_warning(text: str) -> None:
    report = loose_report()
    compile_client_address([text], report.at("listen", "trusted_proxies"))
    assert [problem.warning for problem in report.problems] == [True]


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        pytest.param("10.0.0.1", ["https"], "https", id="a trusted proxy"),
        pytest.param("::ffff:10.0.0.1", ["HTTPS"], "https", id="in capitals, on a dual-stack listener"),
        pytest.param("10.0.0.1", ["http"], "http", id="plain before the proxy"),
        pytest.param("10.0.0.1", ["http", "https"], "https", id="two lines: the last was written by whoever connected"),
        pytest.param("10.0.0.1", ["http, https "], "https", id="the same in one line"),
        pytest.param("10.0.0.1", ["https, http"], "http", id="a claim before the proxy's own word"),
        pytest.param("10.0.0.1", [], "http", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", ["wss"], "http", id="another scheme"),
        pytest.param("10.0.0.1", ["https\r\nX: y"], "http", id="a line end"),
        pytest.param("10.0.0.1", [""], "http", id="an empty line"),
        pytest.param("192.0.2.1", ["https"], "http", id="a claim of somebody untrusted"),
        pytest.param("", ["https"], "http", id="a peer without an address"),
    ],
)
def test_the_scheme_is_a_trusted_proxys_word_and_else_ours(peer: str, said: list[str], scheme: str) -> None:
    assert compile_client_scheme(PROXIES)(peer, said) == scheme
    assert compile_client_scheme(())(peer, said) == "http"
