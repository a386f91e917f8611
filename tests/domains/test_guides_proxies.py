"""The proxies' files, used as they are: checked by the real program, then clicked through it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import dns.message
import dns.rrset
import pytest
import trustme

from linkseal.domains.guides import Setting, guide
from linkseal.testing.programs import free_port

HOST = "links.acme.example"
BASE = "ct.example.net"
TARGET = f"t-k3vq2zr5ma7h4wxy.{BASE}"
RAW = "/c/%41%2f%2F~+%20//x;y?b=2&a=1&a=1&e=&p=%2B;q"
ANSWER = (
    b"HTTP/1.1 302 Found\r\nLocation: https://shop.example/?a=%20&b#c\r\nContent-Length: 0\r\n"
    b"Cache-Control: private, no-store\r\nConnection: close\r\n\r\n"
)
PROGRAMS = ("nginx", "caddy", "haproxy")


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


class NameServer(asyncio.DatagramProtocol):
    """Answers every A question with the loopback address."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        question = query.question[0]
        if question.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "127.0.0.1"))
        self.transport.sendto(answer.to_wire(), addr)


@dataclass
class Lab:
    """A proxy between a client and an origin that notes what it sees."""

    directory: Path
    authority: trustme.CA
    setting: Setting
    snis: list[str | None] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def write(self, name: str) -> Path:
        """Write the guide's file, and around it only what the program cannot do without."""
        made = guide(HOST, TARGET, "ct-verify=abc", name, BASE, setting=self.setting)
        path = self.directory / made.files[0].name
        path.write_text(made.files[0].content)
        if name == "nginx":
            main = self.directory / "nginx.conf"
            main.write_text(
                f"daemon off; pid {self.directory}/nginx.pid; error_log stderr;\n"
                f"events {{}}\nhttp {{ access_log off; include {path}; }}\n"
            )
            return main
        return path

    def command(self, name: str, path: Path, *, check: bool) -> list[str]:
        if name == "nginx":
            command = [program(name), "-p", str(self.directory), "-c", str(path)]
            return [*command, "-t"] if check else command
        if name == "haproxy":
            return [program(name), "-f", str(path), "-c" if check else "-db"]
        verb = "validate" if check else "run"
        return [program(name), verb, "--config", str(path), "--adapter", "caddyfile"]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.directory),
            "XDG_DATA_HOME": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory),
            "CADDY_ADMIN": f"unix/{self.directory}/admin.sock",
        }

    @contextlib.asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[None]:
        command = self.command(name, self.write(name), check=False)
        log = self.directory / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=output, env=self.environment()
            )
        try:
            deadline = time.monotonic() + 30
            while True:
                with contextlib.suppress(OSError), socket.create_connection(self.front, 1):
                    break
                assert process.returncode is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                await asyncio.sleep(0.05)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    @property
    def front(self) -> tuple[str, int]:
        return "127.0.0.1", self.setting.https_port

    async def ask(self, *lines: str, tls: bool = True, host: str = HOST) -> str:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.setting.https_port if tls else self.setting.http_port,
            ssl=context if tls else None,
            server_hostname=HOST if tls else None,
        )
        fields = "".join(f"{line}\r\n" for line in lines)
        writer.write(
            f"GET {RAW} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n".encode()
        )
        try:
            return (await asyncio.wait_for(reader.read(), 20)).decode()
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def laboratory(directory: Path, origin_name: str) -> AsyncIterator[Lab]:
    authority = trustme.CA()
    shown = authority.issue_cert(HOST)
    bundle = directory / "shown.pem"
    shown.private_key_and_cert_chain_pem.write_to_path(str(bundle))
    authority.cert_pem.write_to_path(str(directory / "roots.pem"))
    loop = asyncio.get_running_loop()
    names, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(origin_name).configure_cert(context)
    lab: Lab

    def noted(_: ssl.SSLObject, sni: str | None, __: ssl.SSLContext) -> None:
        lab.snis.append(sni)

    context.sni_callback = noted

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            lab.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(ANSWER)
            await writer.drain()
        writer.close()

    origin = await asyncio.start_server(answered, "127.0.0.1", 0, ssl=context)
    lab = Lab(
        directory,
        authority,
        Setting(
            certificate=str(bundle),
            key=str(bundle),
            roots=str(directory / "roots.pem"),
            resolver=f"127.0.0.1:{names.get_extra_info('sockname')[1]}",
            http_port=free_port("127.0.0.1"),
            https_port=free_port("127.0.0.1"),
            target_port=origin.sockets[0].getsockname()[1],
        ),
    )
    try:
        yield lab
    finally:
        names.close()
        origin.close()


@pytest.mark.parametrize("name", PROGRAMS)
async def test_the_program_accepts_the_file(name: str, tmp_path: Path) -> None:
    program(name)
    async with laboratory(tmp_path, f"*.{BASE}") as lab:
        done = subprocess.run(
            lab.command(name, lab.write(name), check=True),
            capture_output=True,
            text=True,
            env=lab.environment(),
        )
    assert done.returncode == 0, done.stderr
    assert "[emerg]" not in done.stderr
    assert "[WARNING]" not in done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_click_arrives_as_it_was_sent(name: str, tmp_path: Path) -> None:
    program(name)
    async with laboratory(tmp_path, f"*.{BASE}") as lab, lab.running(name):
        for _ in range(2):  # The second is not answered from a cache.
            answer = await lab.ask(
                "User-Agent: Mail/1.0", "X-Forwarded-For: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6"
            )
            assert " 302 " in answer.splitlines()[0]
            assert "https://shop.example/?a=%20&b#c" in answer
        plain = await lab.ask(tls=False)
    assert set(lab.snis) == {TARGET}
    assert len(lab.heads) == 2
    for head in lab.heads:
        request, *lines = head.split("\r\n")
        fields = [line.lower().split(": ", 1) for line in lines if line]
        assert request == f"GET {RAW} HTTP/1.1"
        assert [value for field, value in fields if field == "host"] == [HOST]
        assert [value for field, value in fields if field == "x-forwarded-for"] == ["127.0.0.1"]
        assert [value for field, value in fields if field == "user-agent"] == ["mail/1.0"]
    # Old links over http are led to https, path and query kept.
    assert plain.splitlines()[0].split()[1] in {"301", "308"}
    location = next(line for line in plain.splitlines() if line.lower().startswith("location:"))
    assert location.split(": ", 1)[1] == f"https://{HOST}{RAW}"


@pytest.mark.parametrize("name", PROGRAMS)
async def test_an_origin_with_another_name_is_not_talked_to(name: str, tmp_path: Path) -> None:
    program(name)
    async with laboratory(tmp_path, "evil.example") as lab, lab.running(name):
        answer = await lab.ask()
    assert answer.splitlines()[0].split()[1] in {"502", "503"}
    assert lab.heads == []


async def test_haproxy_refuses_other_names(tmp_path: Path) -> None:
    program("haproxy")
    async with laboratory(tmp_path, f"*.{BASE}") as lab, lab.running("haproxy"):
        assert " 421 " in (await lab.ask(host="other.example")).splitlines()[0]
        assert " 421 " in (await lab.ask(host="other.example", tls=False)).splitlines()[0]
    assert lab.heads == []
