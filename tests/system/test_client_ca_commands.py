"""``linkseal domain client-ca`` as a person types it."""

from __future__ import annotations

from pathlib import Path

import trustme

from linkseal.store import Store
from support.desk import HOST, Desk

CA = trustme.CA(organization_name="Origin pull")


def file(desk: Desk, data: bytes) -> str:
    path = desk.config_file.parent / "ca.pem"
    path.write_bytes(data)
    return str(path)


def stored(desk: Desk) -> bytes:
    files = [each for each in Path(desk.config_file.parent, "data").rglob("*") if each.is_file()]
    assert files
    return b"".join(each.read_bytes() for each in files)


def test_a_ca_is_set_shown_put_on_record_and_removed(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    ca = file(desk, CA.cert_pem.bytes())
    told = desk.json("client-ca", HOST, "--ca", ca)
    assert "O=Origin pull" in told["client_ca"]["subject"]
    assert told["warnings"] == ["nobody is asked before SSL is requested, on route cdn or proxy"]
    assert desk.json("show", HOST)["client_ca"] == told["client_ca"]
    assert "client CA" in desk.said("show", HOST)
    step = desk.json("history", HOST)[-1]
    assert (step["action"], step["before"], step["after"]) == ("enrol", "claimed", "claimed")
    assert step["reasons"][0].startswith("asked for a client certificate of ")
    assert desk.said("client-ca", HOST, "--remove") == (
        f"{HOST}: no client certificate is asked for\n"
    )
    assert desk.json("show", HOST)["client_ca"] is None
    assert desk.json("client-ca", HOST, "--remove")["client_ca"] is None


def test_what_may_come_of_asking_is_warned_of(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    desk.checked()
    desk.said("request-ssl", HOST, "--route", "cdn")
    ca = file(desk, CA.cert_pem.bytes())
    assert desk.json("client-ca", HOST, "--ca", ca)["warnings"] == []
    desk.said("enrol", HOST, "cloudfront")
    (warning,) = desk.json("client-ca", HOST, "--ca", ca)["warnings"]
    assert "OriginMtlsConfig" in warning
    desk.said("request-ssl", HOST, "--route", "acme")
    done = desk.run("client-ca", HOST, "--ca", ca)
    assert "asked for; that CA is valid until" in " ".join(done.stdout.split())
    assert "nobody is asked on route acme" in " ".join(done.stderr.split())


def test_a_private_key_is_refused_and_never_stored(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    key = CA.issue_cert("edge").private_key_pem.bytes()
    ca = file(desk, CA.cert_pem.bytes() + key)
    said = desk.refused("client-ca-has-key", "client-ca", HOST, "--ca", ca)
    secret = key.split(b"\n")[1]
    assert secret not in stored(desk)
    assert secret.decode() not in said
    assert desk.json("show", HOST)["client_ca"] is None


def test_what_cannot_be_set_is_refused(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    leaf = file(desk, CA.issue_cert("edge").cert_chain_pems[0].bytes())
    desk.refused("client-ca-not-ca", "client-ca", HOST, "--ca", leaf)
    desk.refused("certificate-unreadable", "client-ca", HOST, "--ca", file(desk, b"no"))
    desk.refused("certificate-unreadable", "client-ca", HOST, "--ca", "/nowhere/ca.pem")
    ca = file(desk, CA.cert_pem.bytes())
    desk.refused("domain-missing", "client-ca", "links.nobody.example", "--ca", ca)
    desk.said("release", HOST)
    desk.refused("domain-released", "client-ca", HOST, "--ca", ca)
    for words in ((), ("--ca", ca, "--remove")):
        assert desk.run("client-ca", HOST, *words).returncode == 2
    with Store.open(desk.url) as store:
        assert store.client_authorities.asked() == {}
