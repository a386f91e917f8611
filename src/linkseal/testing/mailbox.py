"""A real mail server that keeps what it gets: the next hop of tests and of the demo.

It can misbehave on request: refuse, lose the connection, announce less.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from linkseal.config import Address


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message as it was accepted.

    Attributes:
        sender: Envelope sender.
        recipients: Envelope recipients.
        content: The message, byte for byte.
        options: Parameters of MAIL.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    options: tuple[str, ...]


@dataclass(slots=True)
class Misbehaviour:
    """What to do wrong.

    Attributes:
        refuse_sender: Reply to MAIL; empty accepts.
        refuse_recipients: Reply by recipient.
        refuse_data: Reply to the message; empty accepts.
        drop_at_data: Close the connection instead of replying to the message.
        delay: Seconds to wait before the reply to the message.
        without: Extensions not announced.
    """

    refuse_sender: str = ""
    refuse_recipients: dict[str, str] = field(default_factory=dict)
    refuse_data: str = ""
    drop_at_data: bool = False
    delay: float = 0.0
    without: frozenset[str] = frozenset()


class _PatientSMTP(SMTP):
    """Takes lines as long as real servers do."""

    line_length_limit = 1_000_000


class Mailbox:
    """Listens on loopback, on a free port; accepts everything unless told otherwise.

    Args:
        size: The SIZE it announces and enforces.
    """

    def __init__(self, size: int = 50 * 1024 * 1024) -> None:
        self.misbehaviour = Misbehaviour()
        self.messages: list[Delivered] = []
        self._size = size
        self._arrived = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self.address = Address("127.0.0.1", 0)

    async def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, self.address.host, 0)
        self.address = Address(self.address.host, self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening; open connections are closed with the loop."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def wait_for(self, count: int, seconds: float) -> list[Delivered]:
        """Return the messages once there are ``count``.

        Raises:
            TimeoutError: They did not come.
        """
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    def _session(self) -> SMTP:
        return _PatientSMTP(
            self,
            data_size_limit=self._size,
            enable_SMTPUTF8="SMTPUTF8" not in self.misbehaviour.without,
            hostname="mailbox.example",
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            loop=asyncio.get_running_loop(),
        )

    async def handle_EHLO(  # noqa: N802 - the hook's name
        self,
        _server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Announce PIPELINING too, and leave out what was asked to be left out."""
        session.host_name = hostname
        lines = [line for line in responses[:-1] if line[4:8] != "AUTH"]
        lines += ["250-PIPELINING", responses[-1]]
        return [line for line in lines if line[4:].split(" ")[0] not in self.misbehaviour.without]

    async def handle_MAIL(  # noqa: N802 - the hook's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take a sender, or not."""
        if self.misbehaviour.refuse_sender:
            return self.misbehaviour.refuse_sender
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - the hook's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Take a recipient, or not."""
        refusal = self.misbehaviour.refuse_recipients.get(address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - the hook's name
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a message, or not."""
        await asyncio.sleep(self.misbehaviour.delay)
        if self.misbehaviour.drop_at_data:
            transport: Any = server.transport
            transport.abort()
            return "421 4.4.2 gone"
        if self.misbehaviour.refuse_data:
            return self.misbehaviour.refuse_data
        content = envelope.original_content or b""
        async with self._arrived:
            self.messages.append(
                Delivered(
                    envelope.mail_from or "",
                    tuple(envelope.rcpt_tos),
                    content,
                    tuple(envelope.mail_options),
                )
            )
            self._arrived.notify_all()
        return f"250 2.0.0 kept as {len(self.messages)}"
