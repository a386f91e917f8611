"""A real Postfix as the next hop: it takes what the proxy sends, and refuses in its own words."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal.demo.newsletters import letters
from linkseal.demo.recipient import read_message
from linkseal.store import Store
from linkseal.testing.programs import free_port
from linkseal.testing.service import ServiceProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/usr/sbin/postfix").exists(), reason="postfix is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Postfix"),
]

MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/maillog
maillog_file_prefixes = {root}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.net
mydestination =
local_recipient_maps =
virtual_mailbox_domains = alpenpost.example, fjordmail.example, ropewalk.example
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_recipient_restrictions = reject_unauth_destination
smtputf8_enable = no
alias_maps =
alias_database =
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
virtual unix - n n - - virtual
error unix - - n - - error
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


@pytest.fixture
def postfix(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A Postfix of its own: its port, and where it puts mail."""
    root = tmp_path / "postfix"
    for name in ("etc", "queue", "data", "mail"):
        (root / name).mkdir(parents=True)
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    shutil.chown(root / "data", "postfix")
    shutil.chown(root / "mail", "nobody", "nogroup")
    port = free_port("127.0.0.1")
    (root / "etc" / "main.cf").write_text(MAIN.format(root=root, uid=65534, gid=65534))
    (root / "etc" / "master.cf").write_text(MASTER.format(port=port))
    command = ["/usr/sbin/postfix", "-c", str(root / "etc")]
    started = subprocess.run(
        [*command, "start"], capture_output=True, text=True, timeout=60, check=False
    )
    if started.returncode != 0:
        pytest.fail(f"postfix did not start: {started.stderr}")
    yield port, root / "mail"
    subprocess.run([*command, "stop"], capture_output=True, timeout=60, check=True)


def test_newsletters_go_through_postfix_and_refusals_come_back(
    folder: Path, postfix: tuple[int, Path]
) -> None:
    port, mail = postfix
    text = (folder / "linkseal.toml").read_text().replace("127.0.0.1:9", f"127.0.0.1:{port}")
    (folder / "linkseal.toml").write_text(text)
    with ServiceProcess(folder) as service:
        with Store.open(service.config.store_url) as store:
            for name in ("acme", "northwind", "lumen"):
                store.customers.add(name, from_domains=[f"{name}.example"])
        smtp = service.config.smtp.listen
        with smtplib.SMTP(smtp.host, smtp.port, timeout=30) as client:
            client.ehlo()
            assert client.has_extn("pipelining")
            assert not client.has_extn("smtputf8")
            for letter in letters():
                client.sendmail(
                    letter.sender, [letter.recipient], letter.message, ["BODY=8BITMIME"]
                )
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
                client.sendmail("a@acme.example", ["x@elsewhere.example"], b"From: a@acme.example")
            assert b"Relay access denied" in refusal.value.recipients["x@elsewhere.example"][1]
        deadline = time.monotonic() + 30
        found: list[Path] = []
        while len(found) < 3 and time.monotonic() < deadline:
            found = list(mail.glob("inbox/new/*"))
            time.sleep(0.1)
    base = f"{service.config.shared_base.rpartition(':')[0]}:"
    sealed = [
        sum(link.startswith(base) for link in read_message(file.read_bytes()).links)
        for file in found
    ]
    assert sorted(sealed) == [15, 29, 43]
