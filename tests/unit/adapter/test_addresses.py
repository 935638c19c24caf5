"""Which hosts are public: whatever an address is wrapped in, and however a host is spelled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.addresses import is_name, is_public, literal, meant_by

PRIVATE = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1",
    "192.168.1.1", "192.0.2.1", "224.0.0.1", "255.255.255.255",
]  # fmt: skip
WRAPPED = ["::ffff:{}", "64:ff9b::{}", "::ffff:0:{}", "::{}"]


@pytest.mark.parametrize("text", [*PRIVATE, "::1", "::", "fe80::1", "fc00::1", "ff02::1"])
def test_what_is_not_of_the_open_internet_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_what_is_of_the_open_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@given(number=st.integers(0, 2**32 - 1), wrapping=st.sampled_from(WRAPPED))
def test_a_wrapped_address_is_judged_as_what_it_leads_to(number: int, wrapping: str) -> None:
    plain = IPv4Address(number)
    wrapped = IPv6Address(wrapping.format(plain))
    assert meant_by(wrapped) == plain
    assert is_public(wrapped) == is_public(plain)


@given(number=st.integers(0, 2**32 - 1))
def test_6to4_is_judged_as_the_router_it_leads_to_and_local_use_nat64_never_leaves(
    number: int,
) -> None:
    plain = IPv4Address(number)
    assert meant_by(IPv6Address((0x2002 << 112) | (number << 80))) == plain
    assert not is_public(IPv6Address((0x0064_FF9B_0001 << 80) | number))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("LocalHost.", "127.0.0.1"),
        ("a.localhost", "127.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1.", "10.0.0.1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("example.com", None),
        ("localhost.example", None),
        ("127.1", None),
        ("", None),
    ],
)
def test_a_host_that_spells_an_address_is_read_as_it(host: str, address: str | None) -> None:
    assert literal(host) == (None if address is None else ip_address(address))


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("example.com", True),
        ("example.com.", True),
        ("_acme.example", True),
        ("münchen.example", True),
        ("xn--mnchen-3ya.example", True),
        ("a" * 63 + ".example", True),
        ("a" * 64 + ".example", False),
        (".".join(["abc"] * 64), False),
        ("", False),
        ("a..b", False),
        ("-a.example", False),
        ("a-.example", False),
        ("a b.example", False),
        ("xn--\u00fc.example", False),
        ("127.1", False),
        ("2130706433", False),
        ("0x7f000001", False),
        ("example.0x", False),
    ],
)
def test_a_name_has_proper_labels_and_is_no_number_in_disguise(host: str, fits: bool) -> None:
    assert is_name(host) is fits
