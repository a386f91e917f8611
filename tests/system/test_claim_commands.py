"""Whose mail a branded domain is for, as a person types it."""

from __future__ import annotations

from support.desk import HOST, Desk


def test_from_domains_are_replaced_cleared_and_kept_on_record(desk: Desk) -> None:
    add = ("add", HOST, "--customer", "acme")
    assert desk.json(*add, "--from-domain", "Acme.ORG")["from_domains"] == ["acme.org"]
    assert desk.json(*add)["from_domains"] == ["acme.org"]
    assert desk.json(*add, "--from-domain", "b.example")["from_domains"] == ["b.example"]
    assert desk.json(*add, "--from-domain", "")["from_domains"] == []
    assert [each["reasons"] for each in desk.json("history", HOST)] == [
        ["claimed", "for mail from acme.org too"],
        ["for mail from b.example too, in place of acme.org"],
        ["for mail from its own domain only, no more from b.example"],
    ]
    assert "in place of acme.org" in " ".join(desk.said("history", HOST).split())


def test_a_from_domain_of_everybody_or_of_ours_is_refused(desk: Desk) -> None:
    add = ("add", HOST, "--customer", "acme", "--from-domain")
    desk.refused("from-domain-public-suffix", *add, "co.uk")
    desk.refused("from-domain-own", *add, "x.ct.example.net")
    desk.refused("domain-name", *add, "nonsense")
    assert desk.json("list") == []
