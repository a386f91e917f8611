"""The certificates of a running service: real DNS, an ACME directory, the real edge."""

from __future__ import annotations

from support.lab import BASE, BRANDED, Lab


def test_names_get_their_certificates_and_strangers_the_alert(lab: Lab) -> None:
    lab.service.start()
    lab.wait_for(f"*.{BASE}")
    issued = lab.cli("issue", BRANDED)
    assert (issued["state"], issued["route"], issued["challenge"]) == ("valid", "acme", "http-01")
    assert issued["certificates"][0]["key_type"] == "p256"
    for name in (BRANDED, f"t-abc.{BASE}", f"go.{BASE}"):
        assert lab.eventually_shown(name), lab.shown(name)
    assert lab.shown("links.stranger.example") == "TLSV1_UNRECOGNIZED_NAME"
    assert [order.identifiers for order in lab.ca.orders] == [(f"*.{BASE}",), (BRANDED,)]
    assert lab.knot.values(f"_acme-challenge.{BASE}") == set()
    listed = {each["name"]: each["state"] for each in lab.cli("list")}
    assert listed == {f"*.{BASE}": "valid", BRANDED: "valid"}
    history = [entry["what"] for entry in lab.cli("show", BRANDED)["history"]]
    assert history == ["added", "ordered", "issued"]
