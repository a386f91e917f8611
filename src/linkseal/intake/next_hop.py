"""The next hop: where mail goes on, what it can do, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import ssl
import time
from dataclasses import dataclass
from typing import cast

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from linkseal.config import SMTPConfig
from linkseal.errors import IntakeError

FAILURE_KEPT = 3.0
FEATURES_KEPT = 30.0
"""Seconds the next hop's announcements are believed without asking again."""

_MOST_QUOTED = 400
_UNKNOWN_COMMAND = (500, 502)
_GO_ON, _DONE = 354, 250
_PIECE = 64 * 1024
_DOT_FIRST = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Features:
    """What a next hop announced.

    Attributes:
        size: Its SIZE; ``None`` when it has no such extension, 0 for no limit (RFC 1870 §3).
        eight_bit: 8BITMIME.
        utf8: SMTPUTF8.
        pipelining: PIPELINING.
    """

    size: int | None = None
    eight_bit: bool = False
    utf8: bool = False
    pipelining: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the next hop answered a command."""

    code: int
    text: str

    @property
    def accepted(self) -> bool:
        """Whether it is a positive completion reply."""
        return 200 <= self.code < 300

    @property
    def refused(self) -> bool:
        """Whether it is a negative reply, for now or for good."""
        return 400 <= self.code < 600

    @property
    def line(self) -> str:
        """The reply in one line of printable ASCII, cut where our own would grow too long."""
        words = " ".join(self.text.encode("ascii", "replace").decode().split())
        text = "".join(char if char.isprintable() else "?" for char in words)
        return f"{self.code} {text}"[:_MOST_QUOTED].rstrip()

    def __str__(self) -> str:
        """Return it as it goes to our client: code and text, line by line, in ASCII."""
        lines = self.text.encode("ascii", "replace").decode().splitlines() or [""]
        return "\r\n".join(
            [*(f"{self.code}-{line}" for line in lines[:-1]), f"{self.code} {lines[-1]}"]
        )


class NextHop:
    """Opens connections to the next hop.

    Args:
        config: Where it is, how to encrypt, who we are there.
        name: What we call ourselves in EHLO.
    """

    def __init__(self, config: SMTPConfig, name: str) -> None:
        self._config = config
        self._name = name
        self._features = Features()
        self._known_until = 0.0
        # Reading the system's roots takes 15 ms: once, and not for each connection.
        self._tls = functools.cache(self._make_tls)

    async def features(self) -> Features:
        """Return what the next hop announces; the least when it is not reachable."""
        if time.monotonic() >= self._known_until:
            try:
                conversation = await self.connect()
            except IntakeError:
                self._features = Features()
                self._known_until = time.monotonic() + FAILURE_KEPT
                return self._features
            await conversation.close()
        return self._features

    async def connect(self) -> Conversation:
        """Connect, encrypt and log in as configured.

        Raises:
            IntakeError: Retryable: ``next-hop-refused`` when it answered and would not have us,
                ``next-hop-unreachable`` for all else.
        """
        config = self._config
        try:
            client = aiosmtplib.SMTP(
                hostname=config.next_hop.host,
                port=config.next_hop.port,
                local_hostname=self._name,
                timeout=config.timeout,
                use_tls=config.next_hop_tls == "tls",
                start_tls=False,
                tls_context=self._tls(),
            )
            with contextlib.ExitStack() as unless_ready:
                unless_ready.callback(client.close)
                await client.connect()
                await self._introduce(client)
                unless_ready.pop_all()
        except aiosmtplib.SMTPResponseException as error:
            reply = Reply(error.code, error.message)
            if reply.refused:
                raise _refused(f"refused us: {reply.line}") from error
            raise self._unreachable(error) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._unreachable(error) from error
        extensions = client.esmtp_extensions
        size = extensions.get("size")
        self._features = Features(
            size=None
            if size is None
            else int(size)
            if re.fullmatch(r"\d{1,18}", size, re.ASCII)
            else 0,
            eight_bit="8bitmime" in extensions,
            utf8="smtputf8" in extensions,
            pipelining="pipelining" in extensions,
        )
        self._known_until = time.monotonic() + FEATURES_KEPT
        return Conversation(client, self._features, config.data_timeout)

    async def _introduce(self, client: aiosmtplib.SMTP) -> None:
        """Say who we are, encrypt and log in."""
        config = self._config
        await _greet(client)
        if config.next_hop_tls == "starttls":
            if not client.supports_extension("starttls"):
                raise _refused("does not offer STARTTLS")
            await client.starttls()
            # RFC 3207 §4.2: what it said in the clear is forgotten.
            await _greet(client)
        if config.next_hop_user:
            if not client.supports_extension("auth"):
                raise _refused("does not offer AUTH")
            await client.login(config.next_hop_user, config.next_hop_password)

    def _unreachable(self, error: Exception) -> IntakeError:
        return IntakeError(
            f"the next hop {self._config.next_hop} cannot be used: {error}",
            code="next-hop-unreachable",
            hint="see that it runs, and check smtp.next_hop, next_hop_tls and next_hop_user",
            retryable=True,
        )

    def _make_tls(self) -> ssl.SSLContext | None:
        if self._config.next_hop_tls == "none":
            return None
        ca = self._config.next_hop_ca
        return ssl.create_default_context(cafile=str(ca) if ca else None)


class Conversation:
    """One connection to the next hop, for one client's connection to us.

    Attributes:
        features: What it announced.
    """

    def __init__(self, client: aiosmtplib.SMTP, features: Features, data_timeout: float) -> None:
        self._client = client
        self._data_timeout = data_timeout
        self.features = features

    @property
    def is_open(self) -> bool:
        """Whether the connection is still there."""
        return self._client.is_connected

    async def command(self, *words: str) -> Reply:
        """Send a command and return the reply, which accepts or refuses.

        Raises:
            IntakeError: ``next-hop-lost``, retryable: no such reply came.
        """
        try:
            encoded = [word.encode() for word in words]
        except UnicodeEncodeError:
            return Reply(501, "5.1.3 the address is not text")
        try:
            response = await self._client.execute_command(*encoded)
        except ValueError:
            return Reply(501, "5.1.3 the address holds a line end")
        except (aiosmtplib.SMTPException, OSError) as error:
            self._client.close()
            raise lost(str(error)) from error
        reply = _reply(response)
        if reply.accepted or reply.refused:
            return reply
        # RFC 5321 §4.2: nothing else ends these commands, so what it means is not known.
        self._client.close()
        raise lost(f"{words[0]} was answered {reply.line}")

    async def send(self, content: bytes) -> Reply:
        """Send DATA and a message with CRLF line ends, byte for byte, and return the reply.

        The library's own takes 250 alone for an answer to the end of a message. Any 2yz is one
        (RFC 5321 §4.2.1), and 250 is what is returned for it: many clients know no other.

        Raises:
            IntakeError: ``next-hop-lost``, retryable. When that comes after the whole message
                was sent, the next hop may have it: the sender's second try may be a second
                copy. SMTP has no way to know (RFC 5321 §4.5.4.1).
        """
        timeout = self._data_timeout
        try:
            reply = _reply(await self._client.execute_command(b"DATA", timeout=timeout))
            # 250 to DATA accepts nothing, since nothing was sent.
            if reply.code == _GO_ON and (protocol := self._client.protocol) is not None:
                sending = asyncio.create_task(_write(protocol, _stuffed(content)))
                try:
                    reply = _reply(await protocol.read_response(timeout=timeout))
                finally:
                    early = sending.cancel()
                    await asyncio.wait([sending])
                if early:
                    # What is still to come would be taken for commands, or answered as well.
                    self._break_off()
                elif reply.accepted:
                    return Reply(_DONE, reply.text)
        except (aiosmtplib.SMTPException, OSError) as error:
            self._break_off()
            raise lost(str(error)) from error
        if reply.refused:
            return reply
        self._break_off()
        raise lost(f"the message was answered {reply.line}")

    def _break_off(self) -> None:
        """Close without sending what waits: it must not accept what we say it did not."""
        if (transport := self._client.transport) is not None:
            cast("asyncio.WriteTransport", transport).abort()
        self._client.close()

    async def close(self) -> None:
        """Say QUIT and close."""
        try:
            if self._client.is_connected:
                await self._client.quit()
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self._client.close()


def _reply(response: aiosmtplib.SMTPResponse) -> Reply:
    return Reply(response.code, response.message)


def _stuffed(content: bytes) -> bytes:
    """Return a message as it goes over the line, its end included (RFC 5321 §4.5.2)."""
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    return _DOT_FIRST.sub(b"..", content) + end


async def _write(protocol: SMTPProtocol, data: bytes) -> None:
    """Write no faster than it is taken."""
    # Where the connection ends, that is the reply's error too.
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        for at in range(0, len(data), _PIECE):
            # What asyncio.StreamWriter.drain() calls of a protocol.
            await protocol._drain_helper()  # noqa: SLF001
            protocol.write(data[at : at + _PIECE])


async def _greet(client: aiosmtplib.SMTP) -> None:
    """Say EHLO, or to a server of before it HELO (RFC 5321 §3.2)."""
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in _UNKNOWN_COMMAND:
            raise
        await client.helo()


def _refused(what: str) -> IntakeError:
    return IntakeError(
        f"the next hop {what}",
        code="next-hop-refused",
        hint="see its log, and check smtp.next_hop, next_hop_tls and next_hop_user",
        retryable=True,
    )


def lost(why: str) -> IntakeError:
    """Return the error for a next hop that was there and gives no answer."""
    return IntakeError(
        f"the next hop did not answer: {why}",
        code="next-hop-lost",
        hint="see the next hop's log; the sender keeps the message and tries again",
        retryable=True,
    )
