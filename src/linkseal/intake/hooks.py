"""What a client's commands come to, spoken live with the next hop.

Each MAIL and RCPT is put to the next hop before it is answered, so every refusal is the
next hop's own, recipient by recipient. 250 for the message is said only when the next
hop said it. Nothing is queued here: what is not accepted stays with the sender.

Standards: RFC 5321, 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8), 2920 (PIPELINING).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from linkseal.errors import IntakeError, LinksealError
from linkseal.intake import metrics
from linkseal.intake.next_hop import Conversation, Features, NextHop, lost
from linkseal.intake.reception import Received, Reception
from linkseal.intake.replies import OUR_FAILURE, check_content, refusal, temporary

if TYPE_CHECKING:
    from linkseal.config import SMTPConfig

log = structlog.get_logger("smtp")


@dataclass(slots=True)
class Busy:
    """How many messages are being passed on right now."""

    count: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Start idle."""
        self.idle.set()

    def __enter__(self) -> None:
        """Begin one."""
        self.count += 1
        self.idle.clear()

    def __exit__(self, *_: object) -> None:
        """End one."""
        self.count -= 1
        if not self.count:
            self.idle.set()


class Hooks:
    """What aiosmtpd calls for one session.

    Args:
        config: The largest message.
        reception: Takes messages in.
        next_hop: Where they go.
        busy: Counts messages under way, for a clean stop.
        logins: Checks passwords, which takes too long for the loop.
        customer: Whose listener this is; ``None`` for everybody's.
    """

    def __init__(
        self,
        config: SMTPConfig,
        reception: Reception,
        next_hop: NextHop,
        busy: Busy,
        logins: Executor,
        customer: str | None,
    ) -> None:
        self._config = config
        self._reception = reception
        self._next_hop = next_hop
        self._busy = busy
        self._logins = logins
        self._listener_customer = customer
        self._login_customer: str | None = None
        self._conversation: Conversation | None = None
        self._in_transaction = False
        self._work: asyncio.Task[str] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def forget_login(self) -> None:
        """Be nobody again."""
        self._login_customer = None

    async def authenticate(self, read: AuthResult) -> AuthResult:
        """Check a login, once it has been read; other sessions go on meanwhile."""
        if not read.success:
            return read
        data = read.auth_data
        assert isinstance(data, LoginPassword)
        try:
            customer = await asyncio.get_running_loop().run_in_executor(
                self._logins, self._reception.log_in, data.login.decode(), data.password.decode()
            )
        except LinksealError as error:
            log.error("login not checked", **error.as_dict())
            return AuthResult(
                success=False,
                handled=False,
                message="454 4.7.0 Temporary authentication failure",
            )
        except UnicodeDecodeError:
            customer = None
        if customer is None:
            return AuthResult(success=False, handled=False)
        self._login_customer = customer.name
        return AuthResult(success=True, auth_data=customer.name)

    async def handle_EHLO(  # noqa: N802 - the hook's name
        self,
        server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Announce what both we and the next hop can do."""
        session.host_name = hostname
        features = await self._next_hop.features()
        ours = self._config.max_message_bytes
        server.data_size_limit = min(ours, features.size) if features.size else ours
        server.enable_SMTPUTF8 = features.utf8
        kept = [line for line in responses[1:] if line[4:].startswith(("STARTTLS", "AUTH "))]
        lines = [responses[0]]
        lines += [line for line in kept if line.rstrip() != "250-AUTH"]
        lines += _announced(features, server.data_size_limit)
        lines.append("250 HELP")
        return lines

    async def handle_MAIL(  # noqa: N802 - the hook's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Put the sender to the next hop."""
        try:
            conversation = await self._open()
            if self._in_transaction:
                await self._reset()
            if "BODY=8BITMIME" in options and not conversation.features.eight_bit:
                return "555 5.6.1 8BITMIME is not available: the next hop does not have it"
            # SIZE would be that of the message as it came, not as it goes on.
            passed = [word for word in options if not word.startswith("SIZE=")]
            sender = "" if address == "<>" else address
            reply = await conversation.command("MAIL", f"FROM:<{sender}>", *passed)
        except IntakeError as error:
            return temporary(error)
        if reply.accepted:
            self._in_transaction = True
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return str(reply)

    async def handle_RCPT(  # noqa: N802 - the hook's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Put a recipient to the next hop."""
        try:
            reply = await self._living().command("RCPT", f"TO:<{address}>")
        except IntakeError as error:
            return temporary(error)
        if reply.accepted:
            envelope.rcpt_tos.append(address)
        return str(reply)

    async def handle_DATA(  # noqa: N802 - the hook's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Instrument the message, pass it on, and say what the next hop said.

        A client that leaves meanwhile does not stop it: the next hop may have it already.
        """
        self._work = asyncio.get_running_loop().create_task(self._receive(envelope))
        return await asyncio.shield(self._work)

    async def _receive(self, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        with self._busy:
            try:
                reply, received = await self._pass_on(content, envelope)
            except Exception as error:  # noqa: BLE001 - the next message finds a clean session
                reply, received = await self.handle_exception(error), None
                await self._reset()
        done = received.done if received else None
        outcome = "accepted" if reply.startswith("2") else "refused"
        if outcome == "refused" and reply.startswith("4"):
            outcome = "deferred"
        metrics.MESSAGES.labels(outcome).inc()
        if done and outcome == "accepted":
            metrics.LINKS.inc(len(done.sealed))
        log.info(
            "message",
            outcome=outcome,
            customer=received.customer if received else "",
            message=received.message_id if received else None,
            recipients=len(envelope.rcpt_tos),
            bytes=len(content),
            base=received.base if received else None,
            why=received.why if received else None,
            links_sealed=len(done.sealed) if done else 0,
            untouched=done.untouched.value if done and done.untouched else None,
            reply=reply.partition("\r\n")[0][:120],
        )
        return reply

    async def handle_exception(self, error: Exception) -> str:
        """Have the client try again later, where our own code failed."""
        log.error("a command failed", exc_info=error)
        return OUR_FAILURE

    async def handle_RSET(  # noqa: N802 - the hook's name
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        """Begin anew at the next hop too."""
        await self._reset()
        return "250 2.0.0 OK"

    async def handle_QUIT(  # noqa: N802 - the hook's name
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        """Leave the next hop too."""
        if self._conversation is not None:
            await self._conversation.close()
            self._conversation = None
        return "221 2.0.0 Bye"

    def abandon(self) -> None:
        """Leave the next hop after the client is gone, however it went."""
        if self._conversation is not None:
            task = asyncio.get_running_loop().create_task(self._leave(self._conversation))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._conversation = None

    async def _leave(self, conversation: Conversation) -> None:
        if self._work is not None:
            await asyncio.wait([self._work])
        await conversation.close()

    async def _pass_on(self, content: bytes, envelope: Envelope) -> tuple[str, Received | None]:
        """Return the reply to DATA and what was made of the message."""
        try:
            conversation = self._living()
            check_content(content, conversation.features)
            received = await asyncio.to_thread(
                self._reception.receive,
                content,
                envelope.mail_from or "",
                envelope.rcpt_tos,
                self._login_customer or self._listener_customer,
                conversation.features.size or 0,
            )
        except LinksealError as error:
            await self._reset()
            return refusal(error), None
        try:
            reply = await conversation.send(received.content)
            # After a refusal it may still be open: it is, if DATA itself was refused.
            self._in_transaction = not reply.accepted
        except IntakeError as error:
            await self._settle(received, accepted=False)
            return temporary(error), received
        await self._settle(received, accepted=reply.accepted)
        return str(reply), received

    async def _settle(self, received: Received, *, accepted: bool) -> None:
        """Note what the next hop said; its word stands even if that cannot be noted."""
        if received.message_id is None:
            return
        try:
            await asyncio.to_thread(self._reception.settle, received.message_id, accepted=accepted)
        except Exception:
            log.exception("message not settled", message=received.message_id)

    async def _open(self) -> Conversation:
        """Return the conversation with the next hop, at the start of a transaction."""
        if self._conversation is None or not self._conversation.is_open:
            self._conversation = await self._next_hop.connect()
        return self._conversation

    def _living(self) -> Conversation:
        if self._conversation is None or not self._conversation.is_open:
            raise lost("it closed the connection")
        return self._conversation

    async def _reset(self) -> None:
        """End the next hop's transaction, so that the next message finds a clean one."""
        self._in_transaction = False
        if self._conversation is not None and self._conversation.is_open:
            try:
                await self._conversation.command("RSET")
            except IntakeError:
                self._conversation = None


def _announced(features: Features, size: int) -> list[str]:
    lines = []
    if features.size is not None:
        lines.append(f"250-SIZE {size}")
    if features.eight_bit:
        lines.append("250-8BITMIME")
    if features.utf8:
        lines.append("250-SMTPUTF8")
    if features.pipelining:
        lines.append("250-PIPELINING")
    return lines
