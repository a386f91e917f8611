"""Certificates that are ordered, renewed, revoked and replaced by command while a service runs."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from linkseal.config import load
from linkseal.testing.acme_objects import Order, Problem, certificate_id
from linkseal.testing.service import linkseal
from support.certificates import DAY, make
from support.lab import BRANDED, Lab, eventually


def test_an_order_is_told_as_it_goes_and_renewed_and_revoked(lab: Lab) -> None:
    lab.service.start()
    issued = lab.run("issue", BRANDED, as_json=False)
    assert issued.returncode == 0, issued.stderr
    told = [line.split()[1] for line in issued.stderr.splitlines()]
    assert told == ["ordered", "issued"]
    assert "is renewed by itself" in " ".join(issued.stdout.split())
    first = lab.cli("issue", BRANDED)["certificates"]
    assert [each["key_type"] for each in first] == ["p256"]
    assert len(orders(lab)) == 1, "what is there is not ordered again"

    renewed = lab.cli("renew", BRANDED)["certificates"]
    assert not {each["fingerprint"] for each in renewed} & {each["fingerprint"] for each in first}
    assert {order.replaces for order in orders(lab)[1:]} == ids_of(lab, first)
    assert lab.ca.revoked == {}

    files = lab.cli("export", BRANDED, str(lab.service.directory / "out"))
    for file, each in zip(files, renewed, strict=True):
        leaf, _issuer = x509.load_pem_x509_certificates(Path(file["chain"]).read_bytes())
        key = serialization.load_pem_private_key(Path(file["key"]).read_bytes(), None)
        assert leaf.fingerprint(hashes.SHA256()).hex() == each["fingerprint"]
        assert leaf.public_key() == key.public_key()

    revoked = lab.cli("revoke", BRANDED, "--reason", "keyCompromise", "--yes")
    assert (revoked["state"], revoked["certificates"]) == ("revoked", [])
    assert lab.ca.revoked == dict.fromkeys(ids_of(lab, renewed), 1)
    new = lab.wait_for(BRANDED)
    assert len(orders(lab)) == 3
    history = [entry["what"] for entry in new["history"]]
    assert history[-3:] == ["revoked", "ordered", "issued"]
    assert new["history"][-3]["detail"]["at"] == lab.ca.url
    assert eventually(lambda: served(lab) == new["certificates"][0]["fingerprint"])


def test_what_a_ca_refuses_is_told_and_the_next_try_forgets_it(lab: Lab) -> None:
    lab.service.start()
    lab.ca.fail_with(403, Problem("caa", "CAA forbids it"), "/new-order", times=1000)
    done = lab.run("issue", BRANDED, as_json=False)
    assert done.returncode == 1
    assert "failed CAA forbids it" in done.stderr
    told = " ".join(done.stdout.split())
    assert "there is no certificate: the last try failed" in told
    assert "add one that allows it" in told
    failed = lab.cli("show", BRANDED)
    assert (failed["state"], failed["failures"]) == ("failed", 1)
    assert failed["problem"]["type"] == "caa"
    lab.ca.fail_with(403, None, "/new-order", times=0)
    issued = lab.cli("renew", BRANDED)
    assert (issued["state"], issued["problem"], issued["failures"]) == ("valid", None, 0)

    lab.ca.fail_with(500, Problem("serverInternal", "try later"), "/revoke-cert", times=1)
    refused = lab.run("revoke", BRANDED, "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "try later" in refused.stderr
    hint = json.loads(refused.stderr)["hint"]
    assert hint.startswith("the CA has a fault: it is tried again; it is shown still; --local")
    assert lab.cli("show", BRANDED)["certificates"] == issued["certificates"]


@pytest.mark.slow
def test_an_import_wins_over_an_order_that_is_under_way(lab: Lab) -> None:
    """Also when the order goes on for longer than its worker's hold on the name is renewed."""
    lab.service.start()
    lab.ca.stay_processing(20)
    lab.run("issue", BRANDED, "--wait", "0")
    assert eventually(lambda: [order.status for order in orders(lab)] == ["processing"])
    directory = lab.service.directory
    began = datetime.now(UTC) - DAY
    root = make("Root", ca=True, begins=began)
    leaf = make("leaf", root, names=[BRANDED], begins=began)
    uploaded = leaf.certificate.fingerprint(hashes.SHA256()).hex()
    (directory / "root.pem").write_bytes(root.pem)
    (directory / "b.pem").write_bytes(leaf.pem + leaf.key_pem())
    words = (str(directory / "b.pem"), "--root", str(directory / "root.pem"))
    imported = lab.cli("import", BRANDED, *words)
    assert imported["certificates"][0]["fingerprint"] == uploaded
    assert eventually(lambda: served(lab) == uploaded)
    lost = "another worker has the name"
    assert eventually(lambda: any(x["event"] == lost for x in lab.service.log()), 40)
    shown = lab.cli("show", BRANDED)
    assert (shown["state"], shown["route"], shown["due_at"]) == ("valid", "uploaded", None)
    assert [each["fingerprint"] for each in shown["certificates"]] == [uploaded]
    assert served(lab) == uploaded
    refusal = lab.run("renew", BRANDED)
    assert json.loads(refusal.stderr)["code"] == "certificate-uploaded"
    # And back: an order takes the place of the upload at once.
    lab.ca.stay_processing(0)
    issued = lab.cli("issue", BRANDED)
    assert (issued["route"], issued["certificates"][0]["issuer"]) == ("acme", lab.ca.url)


def test_a_rotated_vault_serves_renews_and_keeps_its_account(lab: Lab) -> None:
    config = ("--config", str(lab.service.config_file))
    lab.service.start()
    first = lab.cli("issue", BRANDED)["certificates"]
    refused = linkseal(*config, "vault", "rotate")
    assert refused.returncode == 1
    assert "(already-running)" in refused.stderr
    lab.service.stop()
    rotated = linkseal(*config, "vault", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    lab.service.start()
    assert served(lab) == first[0]["fingerprint"]
    renewed = lab.cli("renew", BRANDED)["certificates"]
    assert renewed != first
    assert eventually(lambda: served(lab) == renewed[0]["fingerprint"])
    assert sum(request.path == "/new-account" for request in lab.ca.requests) == 1


def orders(lab: Lab) -> list[Order]:
    """What was ordered for the branded name; the service's own names are beside it."""
    return [order for order in lab.ca.orders if BRANDED in order.identifiers]


def ids_of(lab: Lab, certificates: Any) -> set[str]:
    """The names ARI gives certificates that the CA issued (RFC 9773 §4.1)."""
    wanted = {each["fingerprint"] for each in certificates}
    leaves = map(x509.load_pem_x509_certificate, lab.ca.issued)
    return {
        certificate_id(leaf) for leaf in leaves if leaf.fingerprint(hashes.SHA256()).hex() in wanted
    }


def served(lab: Lab) -> str:
    """The fingerprint of what the edge shows for the branded name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = lab.service.config.edge.https
    try:
        with (
            socket.create_connection((address.host, address.port), 10) as plain,
            context.wrap_socket(plain, server_hostname=BRANDED) as connection,
        ):
            return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    except ssl.SSLError as error:
        return str(error.reason)


def test_with_no_service_an_order_is_noted_and_the_wait_ends(lab: Lab) -> None:
    """A service that was killed is none: what it left behind does not count."""
    service_file = load(lab.service.config_file).config.service_file
    service_file.parent.mkdir()
    service_file.write_text("{}")
    done = lab.run("issue", BRANDED, "--wait", "1")
    assert done.returncode == 1
    assert "warning: no service runs on this data directory" in done.stderr
    found = json.loads(done.stdout)
    assert (found["state"], found["certificates"]) == ("pending", [])
    assert found["due_at"]
    assert lab.run("issue", BRANDED, "--wait", "0").returncode == 0
