"""`linkseal up`: starts on a bare machine, restarts its parts, tells what is wrong, stops."""

from __future__ import annotations

import http.client
import os
import resource
import secrets
import signal
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from linkseal import datadir
from linkseal.demo.recipient import Recipient
from linkseal.seal import Kind, MessageID, Sealed, sealed_url
from linkseal.store import Event, EventFilter, Store
from linkseal.testing.service import ServiceProcess, linkseal
from support.lab import eventually
from support.processes import is_running

PARTS = {"certificates", "collector", "edge-0", "edge-1", "smtp", "ops", "watch"}


def click_url(service: ServiceProcess, link: int = 0) -> str:
    config = service.config
    message = MessageID.make(datetime.now(UTC), secrets.token_bytes(8))
    sealed = Sealed(Kind.CLICK, 1, message, link, f"https://a.example/{link}")
    return sealed_url(config.shared_base, datadir.open_keyring(config), sealed)


def events(service: ServiceProcess) -> list[Event]:
    with Store.open(service.config.store_url, migrate=False) as store:
        return list(store.events.list(EventFilter()))


def parts_of(service: ServiceProcess) -> dict[str, int]:
    """Return the process id of each part, once all have been started."""
    assert eventually(lambda: set(service.pids()) == PARTS)
    return service.pids()


def test_a_bare_machine_serves_verified_https_and_stores_the_click(
    service: ServiceProcess,
) -> None:
    recipient = Recipient(service.config.edge.https, service.ca_file)
    answer = recipient.fetch(click_url(service, 3))
    assert (answer.status, answer.location) == (302, "https://a.example/3")
    (event,) = eventually(lambda: events(service))
    assert (event.kind, event.link, event.destination) == ("click", 3, "https://a.example/3")
    assert event.secure


def test_a_killed_part_is_restarted_and_the_others_go_on(service: ServiceProcess) -> None:
    before = parts_of(service)
    for part in before:
        service.kill(part)
    assert eventually(lambda: all(service.pids()[part] != pid for part, pid in before.items()))
    recipient = Recipient(service.config.edge.https, service.ca_file)
    assert eventually(lambda: recipient.fetch(click_url(service)).status) == 302
    assert eventually(lambda: events(service))


def test_a_taken_port_is_a_clear_error(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = (folder / "linkseal.toml").read_text()
        text = text.replace('https = "127.0.0.1:0"', f'https = "127.0.0.1:{port}"')
        (folder / "linkseal.toml").write_text(text)
        done = linkseal("--config", str(folder / "linkseal.toml"), "up")
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert "edge.https" in done.stderr


def test_two_services_on_one_data_directory_are_refused(service: ServiceProcess) -> None:
    done = linkseal("--config", str(service.config_file), "up")
    assert done.returncode == 1
    assert "already-running" in done.stderr


def test_sigterm_stops_every_process_and_keeps_what_was_answered(folder: Path) -> None:
    with ServiceProcess(folder) as service:
        pids = parts_of(service)
        Recipient(service.config.edge.https, service.ca_file).fetch(click_url(service))
        assert service.stop() == 0
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert len(events(service)) == 1
    assert not service.config.service_file.exists()


def test_parts_leave_when_the_supervisor_is_killed_and_a_new_service_takes_over(
    folder: Path,
) -> None:
    service = ServiceProcess(folder)
    service.start()
    pids = parts_of(service)
    os.kill(service.pid, signal.SIGKILL)
    with ServiceProcess(folder) as successor:
        assert not any(is_running(pid) for pid in pids.values())
        recipient = Recipient(successor.config.edge.https, successor.ca_file)
        assert recipient.fetch(click_url(successor)).status == 302
    service.stop()


def test_a_rotated_key_is_taken_without_a_restart_and_old_links_go_on(
    service: ServiceProcess,
) -> None:
    old = click_url(service)
    assert linkseal("--config", str(service.config_file), "token", "rotate").returncode == 0
    new = click_url(service)
    recipient = Recipient(service.config.edge.https, service.ca_file)
    assert eventually(lambda: recipient.fetch(new).status == 302)
    assert recipient.fetch(old).status == 302
    opened = linkseal("--config", str(service.config_file), "token", "open", new, "--json")
    assert '"destination": "https://a.example/0"' in opened.stdout


def write_certificate(folder: Path, authority: trustme.CA, *names: str) -> int:
    issued = authority.issue_cert(*names)
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (folder / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    return len(names)


def serial(service: ServiceProcess, ca_file: Path) -> str:
    context = ssl.create_default_context(cafile=str(ca_file))
    edge = service.config.edge.https
    with (
        socket.create_connection((edge.host, edge.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="go.ct.localhost") as tls,
    ):
        certificate = tls.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def serials(service: ServiceProcess, ca_file: Path) -> set[str]:
    """Ask often enough to meet both workers: each looks for what is new by itself."""
    return {serial(service, ca_file) for _ in range(12)}


def test_a_configured_certificate_is_served_reloaded_and_never_replaced_by_a_broken_one(
    folder: Path,
) -> None:
    authority = trustme.CA()
    write_certificate(folder, authority, "go.ct.localhost", "*.ct.localhost")
    with (folder / "linkseal.toml").open("a") as file:
        file.write('[tls]\ncertificate = "chain.pem"\nkey = "key.pem"\n')
    with ServiceProcess(folder) as service:
        ca_file = folder / "ca.pem"
        first = serial(service, ca_file)
        write_certificate(folder, authority, "go.ct.localhost", "*.ct.localhost")
        second = eventually(lambda: "".join(serials(service, ca_file) - {first}))
        assert eventually(lambda: serials(service, ca_file) == {second})
        write_certificate(folder, authority, "www.example.net")
        refused = eventually(
            lambda: [line for line in service.log() if line.get("code") == "certificate-name"]
        )
        assert refused
        # A worker that was too busy to answer any client until now may have to look once more.
        assert eventually(lambda: serials(service, ca_file) == {second})


def test_a_wrong_certificate_at_start_is_loud_and_the_local_ca_stands_in(folder: Path) -> None:
    authority = trustme.CA()
    write_certificate(folder, authority, "www.example.net")
    with (folder / "linkseal.toml").open("a") as file:
        file.write('[tls]\ncertificate = "chain.pem"\nkey = "key.pem"\n')
    with ServiceProcess(folder) as service:
        told = [line for line in service.log() if line.get("code") == "certificate-name"]
        # Once at the start, and again with each snapshot that is written meanwhile.
        assert {line["level"] for line in told} == {"error"}
        recipient = Recipient(service.config.edge.https, service.ca_file)
        assert recipient.fetch(click_url(service)).status == 302
        write_certificate(folder, authority, "go.ct.localhost", "*.ct.localhost")
        assert eventually(lambda: trusted(service, folder / "ca.pem"))


def trusted(service: ServiceProcess, ca_file: Path) -> bool:
    try:
        return bool(serial(service, ca_file))
    except ssl.SSLCertVerificationError:
        return False


def test_as_many_files_may_be_open_as_the_machine_allows(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        with ServiceProcess(folder) as service:
            edge = parts_of(service)["edge-0"]
            assert resource.prlimit(edge, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_lost_master_key_is_a_clear_error(folder: Path) -> None:
    with ServiceProcess(folder) as service:
        master = service.config.master_key_file
    master.unlink()
    done = linkseal("--config", str(folder / "linkseal.toml"), "up")
    assert done.returncode == 1
    assert "master-key-missing" in done.stderr
    assert "backup" in done.stderr


def test_health_and_metrics_are_on_a_port_of_their_own(service: ServiceProcess) -> None:
    config = service.config
    assert click_url(service)
    Recipient(config.edge.https, service.ca_file).fetch(click_url(service))

    def get(path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(config.edge.ops.host, config.edge.ops.port)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    status, _ = get("/healthz")
    assert status == 200
    assert eventually(lambda: "linkseal_collector_events" in get("/metrics")[1])
    assert "linkseal_edge_" in get("/metrics")[1]


def test_the_disk_refusing_the_journal_loses_no_redirect_and_no_event(
    service: ServiceProcess,
) -> None:
    """The journal directory is put out of reach, then back."""
    recipient = Recipient(service.config.edge.https, service.ca_file)
    assert recipient.fetch(click_url(service)).status == 302
    assert eventually(lambda: len(events(service)) == 1)
    journal = service.config.journal_dir
    away = journal.with_name("journal-away")
    journal.rename(away)
    journal.write_text("in the way")
    for part in ("edge-0", "edge-1"):
        service.kill(part)

    def clicked() -> bool:
        try:
            return recipient.fetch(click_url(service)).status == 302
        except OSError:
            return False

    assert eventually(clicked)
    assert eventually(
        lambda: any(line.get("code") == "journal-unwritable" for line in service.log())
    )
    journal.unlink()
    away.rename(journal)
    # One whose answer was cut off by the kill may be recorded too.
    assert eventually(lambda: len(events(service)) >= 2)
