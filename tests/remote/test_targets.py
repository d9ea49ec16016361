from ipaddress import ip_address, ip_network

import pytest

from fetchrules.errors import TargetForbidden
from fetchrules.remote.account import TargetPolicy
from fetchrules.remote.resolver import check_address, check_port, embedded

PUBLIC = TargetPolicy(public_only=True, ports=frozenset({110, 995}))

ALLOWED = [
    "8.8.8.8",
    "213.180.204.37",
    "2a02:6b8::25",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::808:808",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2c0f:fb50::1",
    "3ffe:ffff::1",
    "99.255.255.255",
    "100.63.255.255",
    "100.128.0.1",
    "223.255.255.255",
]

FORBIDDEN = [
    ("127.0.0.1", "loopback"),
    ("0.0.0.0", "this host"),
    ("10.1.2.3", "private"),
    ("172.16.0.1", "private"),
    ("192.168.1.1", "private"),
    ("169.254.169.254", "link-local: a cloud's metadata"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("192.0.2.1", "documentation"),
    ("198.18.0.1", "benchmarks"),
    ("224.0.0.1", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::1", "loopback"),
    ("::", "unspecified"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local with a zone"),
    ("fc00::1", "unique local"),
    ("ff02::1", "multicast"),
    ("2001:db8::1", "documentation"),
    ("::7f00:1", "IPv4-compatible loopback"),
    ("4000::1", "not given to anybody"),
    ("fec0::1", "site-local, as it once was"),
    ("3fff::1", "documentation"),
    ("3fff:fff:ffff::1", "documentation"),
    ("5f00::1", "segment routing"),
    ("100::1", "discarded"),
    ("100:0:0:1::1", "a prefix for tests"),
    ("2001:2::1", "benchmarks"),
    ("2001:3::1", "multicast tunnels"),
    ("2001:4:112::1", "a sink for reverse lookups"),
    ("2001:10::1", "hashes, not addresses"),
    ("2001:20::1", "hashes, not addresses"),
    ("2001:30::1", "drones"),
    ("2001:1::1", "port control, anycast"),
    ("2620:4f:8000::1", "a sink for reverse lookups"),
    ("192.0.0.8", "protocol assignments"),
    ("192.0.0.9", "port control, anycast"),
    ("192.0.0.170", "discovery of NAT64"),
    ("192.31.196.1", "a sink for reverse lookups"),
    ("192.52.193.1", "multicast tunnels"),
    ("192.88.99.1", "6to4 relays"),
    ("192.175.48.1", "a sink for reverse lookups"),
    ("198.19.255.255", "benchmarks"),
    ("0.1.2.3", "this network"),
    ("::ffff:0:127.0.0.1", "translated loopback"),
    ("2002:c058:6301::1", "6to4 of its relays"),
    ("64:ff9b::6440:1", "NAT64 of carrier-grade NAT"),
    ("::ffff:127.0.0.1", "mapped loopback"),
    ("::ffff:10.0.0.1", "mapped private"),
    ("2002:7f00:1::", "6to4 of loopback"),
    ("2002:c0a8:101::1", "6to4 of 192.168.1.1"),
    ("64:ff9b::7f00:1", "NAT64 of loopback"),
    ("64:ff9b::a00:1", "NAT64 of 10.0.0.1"),
    ("64:ff9b:1::808:808", "local NAT64"),
    ("2001:0:808:808:0:0:f5ff:fffe", "Teredo client 10.0.0.1"),
    ("2001:0:a00:1:0:0:f7f7:f7f7", "Teredo server 10.0.0.1"),
]


@pytest.mark.parametrize("address", ALLOWED)
def test_it_lets_public_addresses_through(address: str) -> None:
    check_address(address, PUBLIC)


@pytest.mark.parametrize(("address", "why"), FORBIDDEN)
def test_it_forbids_what_is_not_public_however_it_is_wrapped(address: str, why: str) -> None:
    with pytest.raises(TargetForbidden):
        check_address(address, PUBLIC)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "2002:a01:203::"])
def test_it_lets_allowed_networks_through(address: str) -> None:
    check_address(address, TargetPolicy(public_only=True, allowed_networks=(ip_network("10.1.0.0/16"),)))


def test_it_allows_a_network_of_wrapped_addresses_as_well() -> None:
    check_address("64:ff9b::a00:1", TargetPolicy(public_only=True, allowed_networks=(ip_network("64:ff9b::/96"),)))


def test_it_asks_nothing_of_an_administrators_rule() -> None:
    check_address("127.0.0.1", TargetPolicy())
    check_port(11110, TargetPolicy())


def test_it_knows_the_mail_ports() -> None:
    check_port(995, PUBLIC)
    with pytest.raises(TargetForbidden):
        check_port(22, PUBLIC)


def test_it_forbids_every_port_when_none_is_named() -> None:
    with pytest.raises(TargetForbidden):
        check_port(110, TargetPolicy(public_only=True))


def test_it_unwraps_both_ends_of_teredo() -> None:
    found = embedded(ip_address("2001:0:4136:e378:8000:63bf:3fff:fdd2"))
    assert found == (ip_address("65.54.227.120"), ip_address("192.0.2.45"))
