"""The chain that is served, and why there is none."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from support.certificates import (
    BUNDLE,
    CA_URL,
    CHAIN,
    DAY,
    HOST,
    ISSUING,
    LEAF,
    MIDDLE,
    NOW,
    ROOT,
    STRANGER,
    Entity,
    make,
    refusal,
    served,
    upload,
)

# What is served


def test_the_root_is_left_out_silently_and_a_stranger_with_a_warning() -> None:
    result = upload(ROOT.pem + STRANGER.pem + BUNDLE, LEAF.key_pem())
    assert served(result) == CHAIN
    assert result.warnings == ("CN=Stranger is not part of the chain, and is left out",)


def test_a_cross_signed_root_is_served_for_clients_that_lack_the_nearer_one() -> None:
    new = make("New root", ca=True, life=3650 * DAY)
    crossed = make("New root", ROOT, ca=True, key=new.key, life=1000 * DAY)
    issuing = make("Issuing", new, ca=True)
    leaf = make("leaf", issuing, names=[HOST])
    data = leaf.pem + crossed.pem + new.pem + issuing.pem
    both = upload(data, leaf.key_pem(), roots=[new, ROOT])
    assert served(both) == [leaf.certificate, issuing.certificate, crossed.certificate]
    assert both.warnings == ()
    near = upload(data, leaf.key_pem(), roots=[new])
    assert served(near) == [leaf.certificate, issuing.certificate]
    lapsed = make("New root", ROOT, ca=True, key=new.key, begins=NOW - 9 * DAY, life=DAY)
    rest = upload(leaf.pem + lapsed.pem + issuing.pem, leaf.key_pem(), roots=[new, ROOT])
    assert served(rest) == [leaf.certificate, issuing.certificate]


def test_cas_that_signed_each_other_do_not_lead_round() -> None:
    one, two = make("One", ca=True), make("Two", ca=True)
    one_by_two = make("One", two, ca=True, key=one.key)
    two_by_one = make("Two", one, ca=True, key=two.key)
    leaf = make("leaf", one, names=[HOST])
    data = leaf.pem + one_by_two.pem + two_by_one.pem
    assert served(upload(data, leaf.key_pem(), roots=[two])) == [
        leaf.certificate,
        one_by_two.certificate,
    ]
    assert refusal(data, leaf.key_pem()).code == "certificate-untrusted"


def test_a_private_root_that_the_operator_trusts_is_trusted() -> None:
    private = make("Private", ca=True)
    leaf = make("leaf", private, names=[HOST])
    assert refusal(leaf.pem, leaf.key_pem()).code == "certificate-untrusted"
    assert served(upload(leaf.pem, leaf.key_pem(), roots=[ROOT, private])) == [leaf.certificate]


def test_an_intermediate_that_the_operator_trusts_ends_the_chain() -> None:
    result = upload(LEAF.pem + ISSUING.pem, LEAF.key_pem(), roots=[ISSUING])
    assert served(result) == [LEAF.certificate]
    assert result.warnings == ()


@given(
    st.permutations([LEAF, ISSUING, MIDDLE, ROOT, STRANGER, LEAF]),
    st.sampled_from(["first", "last"]),
)
@settings(max_examples=60, deadline=None)
def test_the_order_of_an_upload_does_not_matter(order: list[Entity], where: str) -> None:
    certificates = b"".join(each.pem for each in order)
    key = LEAF.key_pem()
    data = key + certificates if where == "first" else certificates + key
    result = upload(data)
    assert served(result) == CHAIN
    assert result == upload(BUNDLE + ROOT.pem + STRANGER.pem, key)


# What is refused


def test_a_missing_intermediate_is_named_with_where_to_get_it() -> None:
    refused = refusal(LEAF.pem, LEAF.key_pem())
    assert refused.code == "certificate-chain-incomplete"
    assert "ends at CN=leaf: its issuer, CN=Issuing, is neither uploaded" in refused.message
    assert CA_URL in refused.hint
    # A gap in the middle: what stands beyond it does not help.
    refused = refusal(LEAF.pem + MIDDLE.pem, LEAF.key_pem())
    assert refused.code == "certificate-chain-incomplete"


def test_an_issuer_that_is_neither_given_nor_findable() -> None:
    refused = refusal(LEAF.pem + ISSUING.pem, LEAF.key_pem())
    assert refused.code == "certificate-untrusted"
    assert "ends at CN=Issuing, issued by CN=Middle" in refused.message
    assert "all its intermediates" in refused.hint
    assert "trusted roots" in refused.hint


def test_no_roots_at_all() -> None:
    assert refusal(key=LEAF.key_pem(), roots=[]).code == "certificate-untrusted"


def test_an_unknown_root_is_untrusted_even_where_the_chain_says_where_it_is() -> None:
    private = make("Private", ca=True)
    leaf = make("leaf", private, names=[HOST], url=CA_URL)
    assert refusal(leaf.pem + private.pem, leaf.key_pem()).code == "certificate-untrusted"


def test_a_certificate_signed_by_itself() -> None:
    leaf = make("leaf", names=[HOST])
    refused = refusal(leaf.pem, leaf.key_pem())
    assert refused.code == "certificate-untrusted"
    assert "public CA" in refused.hint


def test_an_issuer_by_name_only_does_not_link() -> None:
    fake = make("Issuing", MIDDLE, ca=True)
    refused = refusal(LEAF.pem + fake.pem + MIDDLE.pem, LEAF.key_pem())
    assert refused.code == "certificate-chain-incomplete"
    assert "its issuer, CN=Issuing, was uploaded with another key" in refused.message


def test_a_certificate_that_is_no_ca_does_not_link() -> None:
    server = make("server", ROOT, names=["www.acme.example"])
    leaf = make("leaf", server, names=[HOST])
    assert refusal(leaf.pem + server.pem, leaf.key_pem()).code == "certificate-untrusted"


def test_an_expired_intermediate_and_an_expired_root() -> None:
    stale = make("Stale", ROOT, ca=True, begins=NOW - 9 * DAY, life=8 * DAY)
    leaf = make("leaf", stale, names=[HOST])
    refused = refusal(leaf.pem + stale.pem, leaf.key_pem())
    assert refused.code == "certificate-expired"
    assert "CN=Stale" in refused.message
    assert "intermediates" in refused.hint
    old = make("Old root", ca=True, begins=NOW - 9 * DAY, life=8 * DAY)
    leaf = make("leaf", old, names=[HOST])
    assert refusal(leaf.pem, leaf.key_pem(), roots=[old]).code == "certificate-untrusted"


def test_constraints_of_the_cas_are_kept() -> None:
    narrow = make("Narrow", ROOT, ca=True, constraint="other.example")
    leaf = make("leaf", narrow, names=[HOST])
    refused = refusal(leaf.pem + narrow.pem, leaf.key_pem())
    assert refused.code == "certificate-chain-invalid"
    assert "name constraints" in refused.message
    allowed = make("Allowed", ROOT, ca=True, constraint="acme.example")
    leaf = make("leaf", allowed, names=[HOST, "*.acme.example"])
    assert len(served(upload(leaf.pem + allowed.pem, leaf.key_pem()))) == 2
    short = make("Short", ROOT, ca=True, path_length=0)
    below = make("Below", short, ca=True)
    leaf = make("leaf", below, names=[HOST])
    refused = refusal(leaf.pem + below.pem + short.pem, leaf.key_pem())
    assert refused.code == "certificate-chain-invalid"
    assert "path length" in refused.message


def sign_with_sha1(directory: Path, entity: Entity, issuer: Entity, extensions: str) -> bytes:
    """Issue it again by openssl, for the library does not sign with SHA-1."""

    def run(*arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for name, content in (
        ("key.pem", entity.key_pem()),
        ("ca.pem", issuer.pem),
        ("ca.key", issuer.key_pem()),
        ("extensions", extensions.encode()),
    ):
        (directory / name).write_bytes(content)
    subject = f"/CN={entity.certificate.subject.rfc4514_string().removeprefix('CN=')}"
    request = run("req", "-new", "-key", str(directory / "key.pem"), "-subj", subject)
    signer = ["-CA", str(directory / "ca.pem"), "-CAkey", str(directory / "ca.key")]
    extra = ["-extfile", str(directory / "extensions"), "-set_serial", "7", "-days", "30"]
    return run("x509", "-req", "-sha1", *signer, *extra, stdin=request)


def test_sha1_in_the_leaf_or_above_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root = make("Root", ca=True, begins=now - DAY)
    middle = make("Middle", root, ca=True, begins=now - DAY)
    leaf = make("leaf", middle, names=[HOST], begins=now - DAY)
    later = now + timedelta(minutes=1)
    weak = sign_with_sha1(
        tmp_path, leaf, middle, f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n"
    )
    refused = refusal(weak + middle.pem, leaf.key_pem(), now=later, roots=[root])
    assert refused.code == "certificate-signature-weak"
    assert "CN=leaf is signed with SHA1" in refused.message
    assert "SHA-256" in refused.hint
    weak = sign_with_sha1(tmp_path, middle, root, "basicConstraints=critical,CA:TRUE\n")
    refused = refusal(leaf.pem + weak, leaf.key_pem(), now=later, roots=[root])
    assert refused.code == "certificate-signature-weak"
    assert "CN=Middle is signed with SHA1" in refused.message
    # A strong certificate of the same CA beside it is taken instead.
    result = upload(leaf.pem + weak + middle.pem, leaf.key_pem(), now=later, roots=[root])
    assert served(result) == [leaf.certificate, middle.certificate]
