"""What a guide is made of, and how it reads as text and as Markdown. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linkseal.domains.claim import Record

_PATH: Final = re.compile(r"/[A-Za-z0-9._/-]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a proxy's configuration file has to know of its machine.

    Attributes:
        certificate: Path of the certificate and chain that recipients are shown (HAProxy: and
            its key); empty for the usual place, with Caddy for one it gets itself.
        key: Path of its key; empty for the usual place.
        roots: Path of the roots that our certificate is verified with; empty for the system's.
        resolver: Address of the DNS server to ask, ``192.0.2.53`` or ``192.0.2.53:5353``;
            empty for the usual ones.
        http_port: Where it listens; recipients meet it at 80.
        https_port: Where it listens with TLS; recipients meet it at 443.
        target_port: Where our edge listens with TLS.

    Raises:
        ValueError: One of them cannot be such a thing.
    """

    certificate: str = ""
    key: str = ""
    roots: str = ""
    resolver: str = ""
    http_port: int = 80
    https_port: int = 443
    target_port: int = 443

    def __post_init__(self) -> None:
        for path in (self.certificate, self.key, self.roots):
            if path and not _PATH.fullmatch(path):
                raise ValueError(f"{path!r} is no absolute path of plain characters")
        if self.resolver:
            address, colon, port = self.resolver.partition(":")
            ipaddress.IPv4Address(address)
            if colon and not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
                raise ValueError(f"{self.resolver!r} has no port that there can be")
        for number in (self.http_port, self.https_port, self.target_port):
            if not 0 < number < 1 << 16:
                raise ValueError(f"{number} is no port")


@dataclass(frozen=True, slots=True)
class Names:
    """What a guide is written from; every name is checked before.

    Attributes:
        host: The branded domain.
        target: Its target.
        base_domain: Ours.
        zone: The customer's; empty if it is not known.
        records: What is published besides the way to us.
        setting: Of the proxy's machine.
    """

    host: str
    target: str
    base_domain: str
    zone: str
    records: tuple[Record, ...]
    setting: Setting

    def entered(self, name: str) -> str:
        """Return a name as it is shown: whole, and as it is entered in its zone if known."""
        if self.zone and name.endswith(f".{self.zone}"):
            return f"`{name}` (enter `{name.removesuffix(f'.{self.zone}')}` in zone `{self.zone}`)"
        return f"`{name}`"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: its title, and the exact settings."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A configuration file to use as it is.

    Attributes:
        name: What to call it.
        language: For a Markdown fence.
        where: Where it goes, a sentence.
        content: With a last newline.
    """

    name: str
    language: str
    where: str
    content: str


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide for one domain.

    Attributes:
        title: A line.
        steps: In their order.
        files: What the steps refer to; may be empty.
    """

    title: str
    steps: tuple[Step, ...]
    files: tuple[File, ...] = ()

    def text(self) -> str:
        """Return it for a terminal."""
        parts = [self.title, ""]
        for number, step in enumerate(self.steps, 1):
            parts += [f"{number}. {step.title}", *(f"   - {line}" for line in step.lines), ""]
        for file in self.files:
            parts += [f"--- {file.name}: {file.where}", "", file.content]
        return "\n".join(parts).replace("**", "").rstrip("\n") + "\n"

    def markdown(self) -> str:
        """Return it as Markdown."""
        parts = [f"# {self.title}", ""]
        for number, step in enumerate(self.steps, 1):
            parts += [f"## {number}. {step.title}", "", *(f"- {line}" for line in step.lines), ""]
        for file in self.files:
            parts += [f"## File `{file.name}`", "", file.where, ""]
            parts += [f"```{file.language}", file.content.rstrip("\n"), "```", ""]
        return "\n".join(parts).rstrip("\n") + "\n"


@dataclass(frozen=True, slots=True)
class Front:
    """What stands in front.

    Attributes:
        name: As people know it.
        profile: What the domain is enrolled with.
        believed: What follows for visitors' addresses, the end of a sentence.
        networks: Whose addresses have to be given; empty where they are known.
        route: As ``request-ssl`` takes it.
        client_certificate: How it is made to show us a certificate of its own, and which CA that
            is of; empty where it cannot, or that is not documented.
    """

    name: str
    profile: str
    believed: str = "visitors' addresses are believed from its networks alone"
    networks: str = ""
    route: str = "cdn"
    client_certificate: tuple[str, ...] = ()


def written(
    names: Names, front: Front, steps: Sequence[Step], way: Step, files: Sequence[File] = ()
) -> Guide:
    """Return a guide: the proof first, its own steps, the way there, the check and the request.

    The name leads there only when all else is done, and nothing of ours is asked of
    ``_acme-challenge``, where CDNs have records of their own for the certificate.
    """
    host = names.host
    first = Step(
        "Prove that the name is yours",
        tuple(
            f"In your DNS add {record.type} {names.entered(record.name)} with the value "
            f"`{record.value}`: {record.why}."
            for record in names.records
        ),
    )
    given = f" --network ADDRESS`, with {front.networks}" if front.networks else "`"
    enrol = Step(
        "Have the domain enrolled",
        (f"`linkseal domain enrol {host} {front.profile}{given}: {front.believed}.",),
    )
    last = Step(
        "Have it checked, then request SSL",
        (
            f"`linkseal domain check {host}` shows what is not right yet, with its fix.",
            (
                f"`linkseal domain request-ssl {host} --route {front.route}` when it shows no "
                "failure."
            ),
            f"`linkseal domain check {host}` again: SSL is approved on a report for that route.",
            (
                f"`linkseal domain check {host} --canary` tells whether {front.name} verifies our "
                "certificate (ORG-03): only until SSL is approved, as it refuses visitors for up "
                "to a minute."
            ),
            (
                "Until SSL is enabled, and after it, links that were sent already keep working: "
                "leave port 80 open."
            ),
        ),
    )
    title = f"{host} over SSL with {front.name}"
    every = (first, *steps, enrol, way, last, *_hardening(host, front))
    return Guide(title, every, tuple(files))


def _hardening(host: str, front: Front) -> tuple[Step, ...]:
    """Return the step that nobody has to take: nothing is refused without it."""
    if not front.client_certificate:
        return ()
    lines = (
        *front.client_certificate,
        (
            f"Then `linkseal domain client-ca {host} --ca FILE`, with that CA as PEM and no key: "
            "we ask for the certificate from now on, in connections for this name only."
        ),
        (
            f"`linkseal domain check {host}` tells what was shown, and 14 days ahead that it "
            "expires (ORG-06). Links work whatever is shown."
        ),
    )
    return (Step("If you like: show us a client certificate", lines),)
