"""``linkseal certificate`` as a person types it, on a machine where no service runs."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from linkseal import datadir
from linkseal.config import load
from linkseal.store import CertificateRoute, Challenge, NameKind, NewCertificate, Store
from linkseal.testing.service import linkseal
from support.certificates import CA_URL, DAY, Entity, make, p12
from support.lab import BRANDED

NOW = datetime.now(UTC).replace(microsecond=0)
BEGAN = NOW - DAY
ROOT = make("Root", ca=True, begins=BEGAN, life=3650 * DAY)
MIDDLE = make("Middle", ROOT, ca=True, begins=BEGAN, life=1000 * DAY)
LEAF = make("leaf", MIDDLE, names=[BRANDED], begins=BEGAN, url=CA_URL)
ORIGIN = make(
    x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CloudFlare, Inc."),
            x509.NameAttribute(
                NameOID.ORGANIZATIONAL_UNIT_NAME, "CloudFlare Origin SSL Certificate Authority"
            ),
        ]
    ),
    ca=True,
    begins=BEGAN,
    life=3650 * DAY,
)
COMMANDS = ("list", "show", "issue", "renew", "import", "revoke", "export")


class Desk:
    """A folder with a config file, where nothing runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config_file = directory / "linkseal.toml"
        self.config_file.write_text('base_domain = "ct.example"\ndata_dir = "data"\n')
        self.root = self.write("root.pem", ROOT.pem)

    def write(self, name: str, data: bytes) -> str:
        (self.directory / name).write_bytes(data)
        return str(self.directory / name)

    def run(self, *words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        return linkseal("--config", str(self.config_file), "certificate", *words, stdin=stdin)

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, code: str, *words: str) -> str:
        """Return what a refused command says on standard error."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: "), done.stderr
        assert f"({code})" in done.stderr, done.stderr
        assert "hint: " in done.stderr
        assert "Traceback" not in done.stderr
        assert "PRIVATE KEY-----\n" not in done.stderr
        return done.stderr

    def store(self) -> Store:
        config = load(self.config_file).config
        datadir.prepare(config)
        return Store.open(config.store_url)

    def import_leaf(self, *words: str) -> Any:
        bundle = self.write("bundle.pem", MIDDLE.pem + LEAF.key_pem() + LEAF.pem)
        return self.json("import", BRANDED, bundle, "--root", self.root, *words)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def fingerprint(entity: Entity) -> str:
    return entity.certificate.fingerprint(hashes.SHA256()).hex()


def test_an_imported_certificate_is_shown_and_exported_as_it_was(desk: Desk) -> None:
    """The chain in order, keys in files of their own that only their owner reads."""
    imported = desk.import_leaf()
    end = LEAF.certificate.not_valid_after_utc
    assert imported["state"] == "valid"
    assert (imported["route"], imported["challenge"], imported["kind"]) == (
        "uploaded",
        None,
        "branded",
    )
    assert imported["certificates"] == [
        {
            "key_type": "p256",
            "issuer": "uploaded",
            "starts_at": BEGAN.isoformat(),
            "ends_at": end.isoformat(),
            "fingerprint": fingerprint(LEAF),
            "origin_ca": False,
        }
    ]
    assert (imported["warnings"], imported["due_at"]) == ([], None)
    shown = desk.json("show", BRANDED.upper() + ".")
    history = shown.pop("history")
    assert [entry["what"] for entry in history] == ["added", "imported"]
    assert shown | {"warnings": []} == imported

    target = desk.directory / "out" / "backup"
    (files,) = desk.json("export", BRANDED, str(target))
    assert files == {
        "key_type": "p256",
        "chain": str(target / f"{BRANDED}.p256.pem"),
        "key": str(target / f"{BRANDED}.p256.key"),
    }
    assert Path(files["chain"]).read_bytes() == LEAF.pem + MIDDLE.pem
    key = serialization.load_pem_private_key(Path(files["key"]).read_bytes(), None)
    assert key.public_key() == LEAF.certificate.public_key()
    assert [file.stat().st_mode & 0o777 for file in sorted(target.iterdir())] == [0o600, 0o600]
    assert target.stat().st_mode & 0o777 == 0o700
    told = desk.run("export", BRANDED, str(target))
    assert told.stdout.split() == [files["chain"], files["key"]]
    refusal = desk.refused("vault-unwritable", "export", BRANDED, desk.root)
    assert "name a directory" in refusal


def test_a_wildcard_is_exported_under_a_name_that_a_shell_takes(desk: Desk) -> None:
    wildcard = make("targets", MIDDLE, names=["*.ct.example"], begins=BEGAN)
    bundle = desk.write("w.pem", wildcard.pem + MIDDLE.pem)
    key = desk.write("w.key", wildcard.key_pem())
    imported = desk.json("import", "*.ct.example", bundle, "--key", key, "--root", desk.root)
    assert imported["kind"] == "targets"
    desk.json("export", "*.ct.example", str(desk.directory / "out"))
    names = sorted(file.name for file in (desk.directory / "out").iterdir())
    assert names == ["_.ct.example.p256.key", "_.ct.example.p256.pem"]


def test_a_pkcs12_opens_with_the_password_of_a_file(desk: Desk) -> None:
    bundle = desk.write("links.p12", p12(LEAF, [MIDDLE], " spring \u00fc "))
    words = ("import", BRANDED, bundle, "--root", desk.root)
    assert "encrypted" in desk.refused("certificate-password", *words)
    password = desk.write("password", b"spring\n")
    wrong = desk.refused("certificate-password", *words, "--password-file", password)
    assert "the password does not open the PKCS #12 file" in wrong
    # What stands at its ends belongs to it; the end of the line does not.
    password = desk.write("password", " spring \u00fc \n".encode())
    imported = desk.json(*words, "--password-file", password)
    assert imported["certificates"][0]["fingerprint"] == fingerprint(LEAF)


def test_what_browsers_would_refuse_is_refused_and_nothing_is_stored(desk: Desk) -> None:
    """Each with its code, its words and its hint on the terminal."""
    weak = make(
        "weak", MIDDLE, names=[BRANDED], begins=BEGAN, key=rsa.generate_private_key(65537, 1024)
    )
    expired = make("old", MIDDLE, names=[BRANDED], begins=BEGAN - 40 * DAY, life=30 * DAY)
    other = make("other", MIDDLE, names=["links.other.example"], begins=BEGAN)
    stranger = Entity(LEAF.certificate, ec.generate_private_key(ec.SECP256R1()))
    origin = make("origin", ORIGIN, names=[BRANDED], begins=BEGAN)

    def bundle(name: str, leaf: Entity, *others: Entity) -> str:
        return desk.write(name, leaf.pem + leaf.key_pem() + b"".join(x.pem for x in others))

    good = bundle("good.pem", LEAF, MIDDLE)
    missing = str(desk.directory / "missing.pem")
    with ThreadPoolExecutor(2) as pool:
        cases = [
            (words, pool.submit(desk.refused, code, "import", BRANDED, file, *more))
            for code, words, file, *more in (
                (
                    "certificate-key-mismatch",
                    "belongs to none of the certificates",
                    bundle("stranger.pem", stranger, MIDDLE),
                ),
                (
                    "certificate-chain-incomplete",
                    "add the issuer's certificate",
                    bundle("alone.pem", LEAF),
                    "--root",
                    desk.root,
                ),
                (
                    "certificate-name",
                    f"is for links.other.example, not for {BRANDED}",
                    bundle("other.pem", other, MIDDLE),
                ),
                ("certificate-expired", "upload a renewed one", bundle("old.pem", expired)),
                ("certificate-key-weak", "RSA with 1024 bits", bundle("weak.pem", weak)),
                ("certificate-origin-ca", "put the domain on route cdn", bundle("o.pem", origin)),
                ("certificate-untrusted", "no root browsers trust", good),
                ("certificate-key-missing", "give the key", desk.write("k.pem", LEAF.pem)),
                (
                    "certificate-unreadable",
                    "no PEM certificate in",
                    good,
                    "--root",
                    desk.write("root.der", b"\x30"),
                ),
                ("certificate-unreadable", f"cannot read {missing}", missing),
                (
                    "customer-missing",
                    "customer add",
                    good,
                    "--root",
                    desk.root,
                    "--customer",
                    "nobody",
                ),
            )
        ]
        for words, case in cases:
            assert words in case.result()
    assert desk.json("list") == []


def test_an_origin_ca_certificate_is_taken_behind_cloudflare_and_warned_of(desk: Desk) -> None:
    origin = make("origin", ORIGIN, names=[BRANDED], begins=BEGAN, life=5000 * DAY)
    file = desk.write("origin.pem", origin.pem + origin.key_pem())
    done = desk.run("import", BRANDED, file, "--cdn")
    assert done.returncode == 0, done.stderr
    assert "warning: only Cloudflare trusts this certificate" in done.stderr
    assert "trusted by Cloudflare only" in " ".join(done.stdout.split())
    shown = desk.json("show", BRANDED)
    assert [each["origin_ca"] for each in shown["certificates"]] == [True]


def test_a_long_life_is_warned_of_in_words_and_in_json(desk: Desk) -> None:
    lasting = make("long", MIDDLE, names=[BRANDED], begins=BEGAN, life=500 * DAY)
    file = desk.write("long.pem", lasting.pem + lasting.key_pem() + MIDDLE.pem)
    done = desk.run("import", BRANDED, file, "--root", desk.root, "--json")
    (warning,) = json.loads(done.stdout)["warnings"]
    assert warning.startswith("it is valid for 500 days")
    assert f"warning: {warning}" in done.stderr


def test_an_uploaded_certificate_is_revoked_here_only_once_that_is_confirmed(desk: Desk) -> None:
    desk.import_leaf()
    for answer in (b"n\n", b""):
        asked = desk.run("revoke", BRANDED, stdin=answer)
        assert asked.returncode == 1
        assert "Revoke 1 certificate(s)" in asked.stderr
    assert desk.json("show", BRANDED)["state"] == "valid"
    done = desk.run("revoke", BRANDED, "--json", stdin=b"y\n")
    revoked = json.loads(done.stdout)
    assert (done.returncode, revoked["state"], revoked["certificates"]) == (0, "revoked", [])
    assert revoked["meaning"].endswith("import the next one")
    assert "only who issued an uploaded certificate can revoke it" in done.stderr
    for command in (("revoke", BRANDED, "--yes"), ("export", BRANDED, str(desk.directory / "x"))):
        desk.refused("certificate-none", *command)
    assert not (desk.directory / "x").exists()
    wrong = desk.refused("certificate-reason", "revoke", BRANDED, "--reason", "mood")
    assert "keyCompromise" in wrong


def test_what_the_ca_does_not_revoke_is_withdrawn_here_only(desk: Desk) -> None:
    with desk.store() as store:
        put_names(store)
    valid = "valid.acme.example"
    refused = desk.run("revoke", valid, "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "(acme-issuer-unknown)" in refused.stderr
    assert "--local withdraws it here only" in refused.stderr
    assert desk.json("show", valid)["state"] == "valid"
    done = desk.run("revoke", valid, "--yes", "--local", "--json")
    assert done.returncode == 0, done.stderr
    assert "its CA was not asked" in done.stderr
    shown = desk.json("show", valid)
    assert (shown["state"], shown["certificates"]) == ("revoked", [])
    entry = shown["history"][-1]
    assert entry["what"] == "revoked"
    assert entry["detail"] == {"reason": "unspecified", "at": "here only", "certificate": "valid"}


def put_names(store: Store) -> None:
    """One name in every state."""
    held = store.certificates
    problem = {"type": "caa", "detail": "forbidden", "advice": "add a CAA record", "at": "x"}
    for name, route, days, values in (
        ("pending", CertificateRoute.ACME, None, {}),
        ("waiting", CertificateRoute.ACME, None, {"waiting": "waiting until tomorrow"}),
        ("failed", CertificateRoute.ACME, None, {"problem": problem, "failures": 3}),
        ("valid", CertificateRoute.ACME, 80, {}),
        ("failing", CertificateRoute.ACME, 60, {"problem": problem}),
        ("expiring", CertificateRoute.ACME, 8, {"problem": problem}),
        ("ending", CertificateRoute.UPLOADED, 20, {}),
        ("expired", CertificateRoute.UPLOADED, -1, {}),
        ("revoked", CertificateRoute.ACME, 80, {}),
    ):
        full = f"{name}.acme.example"
        held.add_name(
            full, kind=NameKind.BRANDED, route=route, challenge=Challenge.HTTP_01, now=NOW
        )
        if days is not None:
            end = NOW + timedelta(days=days)
            new = NewCertificate("p256", "", b"", name, "ca", False, end - 90 * DAY, end)
            held.put(full, [new], NOW, "issued")
        held.change_name(full, NOW, "set up", **values)
    (revoked,) = [each for each in held.in_use() if each.name == "revoked.acme.example"]
    held.revoke(revoked, NOW, {"reason": "superseded"}, NOW)


def test_every_state_is_explained(desk: Desk) -> None:
    with desk.store() as store:
        put_names(store)
    listed = {each["name"].partition(".")[0]: each for each in desk.json("list")}
    for name, state, words in (
        ("pending", "pending", "no certificate yet: a running service orders it"),
        ("waiting", "pending", "the CA's limits do not allow an order now"),
        ("failed", "failed", "no certificate: the last try failed; it is tried again by itself"),
        ("valid", "valid", "is renewed by itself"),
        ("failing", "valid", "the last try to get the next failed"),
        ("expiring", "expiring", "the last try to renew it failed"),
        ("ending", "expiring", "import the next one"),
        ("expired", "expired", "is shown no more; import the next one"),
        ("revoked", "revoked", "is shown no more; the next is ordered by itself"),
    ):
        assert (listed[name]["state"], words in listed[name]["meaning"]) == (state, True), name
    assert listed["waiting"]["waiting"] == "waiting until tomorrow"
    failed = [each["name"] for each in desk.json("list", "--state", "failed")]
    assert failed == ["failed.acme.example"]
    shown = " ".join(desk.run("show", "failed.acme.example").stdout.split())
    for words in ("caa: forbidden", "add a CAA record", "failed tries 3", "set up"):
        assert words in shown
    table = desk.run("list").stdout
    assert all(name[:6] in table for name in listed)


def test_without_acme_nothing_is_ordered_and_names_are_names(desk: Desk) -> None:
    for command in ("issue", "renew"):
        assert "acme.enabled = true" in desk.refused("acme-off", command, BRANDED)
    assert "as in links.acme.example" in desk.refused("certificate-name", "show", "no host")
    assert "get one with `issue` or `import`" in desk.refused(
        "certificate-missing", "show", BRANDED
    )
    assert "No names yet" in desk.run("list").stdout
    assert "No name is failed." in desk.run("list", "--state", "failed").stdout
    assert desk.run("list", "--state", "nonsense").returncode == 2
    assert desk.run("issue", BRANDED, "--wait", "-1").returncode == 2


def test_help_shows_an_example_of_each_command() -> None:
    commands = [f"certificate {each}" for each in COMMANDS] + ["vault rotate"]
    with ThreadPoolExecutor(2) as pool:
        helps = pool.map(lambda each: linkseal(*each.split(), "--help"), commands)
    for command, done in zip(commands, helps, strict=True):
        assert done.returncode == 0
        assert f"Example: linkseal {command}" in done.stdout
