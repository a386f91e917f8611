"""Which names may be claimed, and what is published for them."""

from __future__ import annotations

import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from linkseal.domains.claim import (
    Record,
    claim_host,
    domain_name,
    mail_domains,
    new_delegation,
    new_target,
    ownership_value,
    records,
)
from linkseal.errors import DomainError

BASE = "ct.example.net"
HOST = "links.acme.example"
SUFFIXES = PublicSuffixList()


def claim(text: str) -> str:
    return claim_host(text, base_domain=BASE, is_public_suffix=SUFFIXES.is_public)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (HOST, HOST),
        ("  Links.ACME.example. ", HOST),
        ("links.acme.co.uk", "links.acme.co.uk"),
        ("links.bücher.example", "links.xn--bcher-kva.example"),
        ("links.BÜCHER.example", "links.xn--bcher-kva.example"),
        ("links.xn--bcher-kva.example", "links.xn--bcher-kva.example"),
        ("links。acme。example", HOST),
        ("a.b.links.acme.example", "a.b.links.acme.example"),
        # Of the same company, but not of the tracking service.
        ("links.example.net", "links.example.net"),
        ("xct.example.net", "xct.example.net"),
        ("links.acme.github.io", "links.acme.github.io"),
    ],
)
def test_a_name_is_claimed_in_its_one_form(text: str, host: str) -> None:
    assert claim(text) == host


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "domain-name"),
        ("links", "domain-name"),
        ("https://links.acme.example/", "domain-name"),
        ("links.acme.example:443", "domain-name"),
        ("links_1.acme.example", "domain-name"),
        ("-links.acme.example", "domain-name"),
        ("links..acme.example", "domain-name"),
        ("links.acme.example..", "domain-name"),
        # No A-labels (RFC 5890 §2.3.2.1): not Punycode; of what ASCII says; not normalized.
        ("xn--zzzz.acme.example", "domain-name"),
        ("xn--links-.acme.example", "domain-name"),
        ("xn--.acme.example", "domain-name"),
        ("links.xn--Bcher-KVA\u0301.example", "domain-name"),
        ("links.acme.example\n$INCLUDE x", "domain-name"),
        ("links.acme.example;", "domain-name"),
        ("links.\u200bacme\u0000.example", "domain-name"),
        (f"links.{'a' * 64}.example", "domain-name"),
        # A name, but _acme-challenge before it would be none.
        (".".join(["a" * 57] * 4) + ".example", "domain-name"),
        ("*.acme.example", "domain-wildcard"),
        ("*", "domain-wildcard"),
        ("192.0.2.1", "domain-address"),
        ("１９２.0.2.1", "domain-address"),
        ("192.0.2.1.", "domain-address"),
        ("192.0.2.0x1", "domain-address"),
        ("10.1", "domain-address"),
        ("2001:db8::1", "domain-address"),
        ("[2001:db8::1]", "domain-address"),
        (BASE, "domain-own"),
        (f"go.{BASE}", "domain-own"),
        (f"t-abc.{BASE}", "domain-own"),
        (f"x.acme.{BASE}", "domain-own"),
        ("example.net", "domain-own"),
        ("co.uk", "domain-public-suffix"),
        ("github.io", "domain-public-suffix"),
        ("acme.co.uk", "domain-apex"),
        ("acme.example", "domain-apex"),
        ("acme.github.io", "domain-apex"),
    ],
)
def test_what_may_not_be_claimed_is_refused_with_a_hint(text: str, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        claim(text)
    assert refusal.value.code == code
    assert refusal.value.hint


def test_the_hint_for_an_apex_names_what_can_be_claimed() -> None:
    with pytest.raises(DomainError, match="no CNAME can stand there") as refusal:
        claim("acme.example")
    assert refusal.value.hint == "claim a name under it, as in links.acme.example"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("https://links.acme.example/", "without https:// and path"),
        ("links_x.acme.example", "no host has _ in its name"),
        ("xn--zzzz.acme.example", "none that IDNA makes"),
        (f"{'links.' * 1000}example", "at most 253 characters"),
        (f"{'bücher.' * 1000}example", "at most 253 characters"),
        (f"links.{'a' * 64}.example", "two labels or more"),
        ("links", "two labels or more"),
    ],
)
def test_the_hint_for_what_is_no_name_fits_what_is_wrong(text: str, hint: str) -> None:
    with pytest.raises(DomainError) as refusal:
        claim(text)
    assert hint in refusal.value.hint
    assert len(refusal.value.message) < 120


def test_a_long_name_is_cut_in_the_message() -> None:
    for text in ("links." * 1001, f"*.{'links.' * 1001}", f"192.0.2.{'0' * 6000}1"):
        with pytest.raises(DomainError) as refusal:
            claim(text)
        assert (len(refusal.value.message) < 120, "…" in refusal.value.message) == (True, True)


@given(st.text(max_size=80))
def test_a_claimed_name_is_claimed_as_itself(text: str) -> None:
    try:
        host = claim(text)
    except DomainError:
        return
    assert claim(host) == host
    assert host.isascii()
    assert host == host.lower()


def test_a_domain_of_from_addresses_may_be_an_apex_and_no_wildcard() -> None:
    assert domain_name("BÜCHER.example.") == "xn--bcher-kva.example"
    with pytest.raises(DomainError):
        domain_name("*.acme.example")


def mail(*texts: str) -> list[str]:
    return mail_domains(texts, base_domain=BASE, is_public_suffix=SUFFIXES.is_public)


def test_from_domains_come_in_their_one_form_and_empty_ones_are_none() -> None:
    assert mail() == mail("", " ") == []
    assert mail("Acme.ORG.", "", "bücher.example") == ["acme.org", "xn--bcher-kva.example"]
    # The company that runs the service may send mail itself.
    assert mail("example.net", "xct.example.net") == ["example.net", "xct.example.net"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("co.uk", "from-domain-public-suffix"),
        ("github.io", "from-domain-public-suffix"),
        (BASE, "from-domain-own"),
        (f"go.{BASE.upper()}", "from-domain-own"),
        ("nonsense", "domain-name"),
        ("https://acme.example/", "domain-name"),
    ],
)
def test_what_no_mail_of_one_customer_is_from_is_refused(text: str, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        mail("acme.example", text)
    assert (refusal.value.code, bool(refusal.value.hint)) == (code, True)


@given(st.binary(min_size=10, max_size=32))
def test_a_target_is_one_label_that_a_wildcard_covers(entropy: bytes) -> None:
    label, _, rest = new_target(entropy, BASE).partition(".")
    assert rest == BASE
    assert label.startswith("t-")
    assert 18 <= len(label) <= 63
    assert set(label[2:]) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_different_entropy_makes_different_claims() -> None:
    one, two = bytes(16), bytes(15) + b"\x01"
    assert new_target(one, BASE) != new_target(two, BASE)
    assert ownership_value(one) != ownership_value(two)
    assert new_delegation(one, BASE) == f"{'a' * 26}.acme.{BASE}"
    with pytest.raises(ValueError, match="10"):
        new_target(b"short", BASE)


def test_the_records_of_a_claim_say_what_each_is_for() -> None:
    found = records(HOST, target="t-x.ct.example.net", ownership="ct-verify=x", delegation="d.x")
    assert [(each.type, each.name, each.value, each.needed) for each in found] == [
        ("CNAME", HOST, "t-x.ct.example.net", True),
        ("TXT", f"_ct-challenge.{HOST}", "ct-verify=x", True),
        ("CNAME", f"_acme-challenge.{HOST}", "d.x", False),
    ]
    assert all(each.why for each in found)
    assert len(records(HOST, target="t-x.ct.example.net", ownership="ct-verify=x")) == 2


def test_the_lines_of_a_zone_file_read_back_as_the_records() -> None:
    found = records(
        HOST,
        target=new_target(bytes(16), BASE),
        ownership=ownership_value(bytes(16)),
        delegation=new_delegation(bytes(16), BASE),
    )
    zone = dns.zone.from_text(
        "\n".join(record.bind() for record in found),
        origin="acme.example",
        relativize=False,
        check_origin=False,
    )
    for record in found:
        data = zone.find_rdataset(record.name + ".", dns.rdatatype.from_text(record.type))
        assert data.ttl == 3600
        text = data[0].to_text()
        assert text in {record.value + ".", f'"{record.value}"'}


def test_text_cannot_break_out_of_its_line() -> None:
    record = Record("TXT", HOST, 'a" b\\', "")
    assert record.bind() == f'{HOST}. 3600 IN TXT "a\\" b\\\\"'
