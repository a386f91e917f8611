"""Certificates from a real Pebble, through real DNS and the real edge."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal.testing.knot import Knot
from linkseal.testing.pebble import Pebble
from linkseal.testing.programs import free_port
from support.lab import BASE, BRANDED, ZONE, Lab, eventually, issuer


@pytest.fixture
def pebbled(tmp_path: Path) -> Iterator[tuple[Lab, Pebble]]:
    http_port = free_port("127.0.0.1")
    with (
        Knot(tmp_path / "knot", {"example": ZONE}) as knot,
        Pebble(
            tmp_path / "pebble", dns_server=f"{knot.host}:{knot.port}", http_port=http_port
        ) as pebble,
    ):
        lab = Lab(tmp_path, None, knot, http_port=http_port)
        lab.configure(urls=(pebble.url,), ca_file=pebble.ca_file)
        try:
            yield lab, pebble
        finally:
            lab.service.stop()


def test_pebble_issues_for_a_branded_name_and_the_base_wildcard(
    pebbled: tuple[Lab, Pebble],
) -> None:
    lab, pebble = pebbled
    lab.service.start()
    lab.wait_for(f"*.{BASE}", seconds=120)
    issued = lab.cli("issue", BRANDED, "--wait", "120")
    assert (issued["state"], issued["certificates"][0]["issuer"]) == ("valid", pebble.url)
    context = ssl.create_default_context(cadata=pebble.root_pem().decode())
    edge = lab.service.config.edge.https

    def verifies(name: str) -> bool:
        try:
            return "Pebble" in issuer(context, edge, name)
        except ssl.SSLError:
            return False

    for name in (BRANDED, f"t-abc.{BASE}", f"go.{BASE}"):
        assert eventually(functools.partial(verifies, name)), name
    with pytest.raises(ssl.SSLError) as refusal:
        issuer(context, edge, "links.stranger.example")
    assert refusal.value.reason == "TLSV1_UNRECOGNIZED_NAME"
    renewed = lab.cli("renew", BRANDED, "--wait", "120")
    assert renewed["certificates"][0]["fingerprint"] != issued["certificates"][0]["fingerprint"]
    revoked = lab.cli("revoke", BRANDED, "--reason", "superseded", "--yes")
    assert revoked["state"] == "revoked"
    lab.wait_for(BRANDED, seconds=120)
