"""What a scanner says of the edge: Mozilla's intermediate settings, and nothing below them."""

from __future__ import annotations

import subprocess
from xml.etree import ElementTree as ET

from linkseal.testing.programs import find_program
from linkseal.testing.service import ServiceProcess


def test_sslscan_finds_only_what_mozilla_calls_intermediate(service: ServiceProcess) -> None:
    sslscan = find_program("sslscan", "sslscan")
    edge = service.config.edge.https
    done = subprocess.run(
        [
            sslscan,
            "--xml=-",
            "--show-certificate",
            f"--sni-name={service.config.shared_host}",
            f"{edge.host}:{edge.port}",
        ],
        capture_output=True,
        check=True,
        timeout=120,
    )
    found = ET.fromstring(done.stdout).find("ssltest")
    assert found is not None
    on = {
        f"{each.get('type')} {each.get('version')}"
        for each in found.findall("protocol")
        if each.get("enabled") == "1"
    }
    assert on == {"tls 1.2", "tls 1.3"}
    ciphers = {each.get("cipher") or "" for each in found.findall("cipher")}
    assert ciphers
    for cipher in ciphers:
        assert cipher.startswith(("TLS_", "ECDHE-")), cipher
        assert "GCM" in cipher or "CHACHA20" in cipher, cipher
    # Of compression it says nothing where its own OpenSSL has none.
    assert {each.get("supported") for each in found.findall("compression")} <= {"0"}
    assert {each.get("supported") for each in found.findall("renegotiation")} == {"0"}
    assert {each.get("vulnerable") for each in found.findall("heartbleed")} == {"0"}
    key = found.find("certificates/certificate/pk")
    assert key is not None
    assert key.get("type") == "EC"
    groups = {each.get("name") for each in found.findall("group")}
    assert groups, "no group was looked at"
    assert groups <= {"x25519", "secp256r1 (NIST P-256)", "secp384r1 (NIST P-384)"}, groups
