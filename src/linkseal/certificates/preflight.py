"""Before a CA is asked: would it be told yes?

A CA counts what fails, and few failures an hour are allowed; what can be seen from here is
seen first. Everything blocks.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterable
from typing import Final

from linkseal.certificates.addresses import is_public
from linkseal.certificates.advice import understand
from linkseal.certificates.authority import OrderError
from linkseal.certificates.bounded import BoundedResponse
from linkseal.certificates.dns01 import Resolver
from linkseal.domains.caa import CAAOutcome, IssuerIdentity, judge_caa, names_to_ask
from linkseal.domains.well_known import CHALLENGE_PATH
from linkseal.errors import CertificateError

_ANSWER_BYTES: Final = 32768
"""Of an answer, head and body."""
_BODY_BYTES: Final = 1024
_SECONDS: Final = 5.0
"""For one address, from connecting on; and at least for all of them."""
_EVERY: Final = 0.5
# RFC 9110 §15.4; those a CA follows. Where they lead is the CA's to see.
_REDIRECTS: Final = frozenset({301, 302, 307, 308})


def check_caa(name: str, issuer: IssuerIdentity, resolver: Resolver) -> None:
    """Refuse when CAA records forbid the CA to issue (RFC 8659).

    Args:
        name: The certificate's; may be a wildcard.
        issuer: The CA. One that does not say what it calls itself is not judged.
        resolver: Asked for the records.

    Raises:
        OrderError: ``caa``, with the record that forbids it; ``caaUnreadable`` when DNS did
            not say, which a CA takes for a no as well.
    """
    if not issuer.domains:
        return
    answers = []
    for each in names_to_ask(name):
        answers.append(resolver.caa(each))
        if answers[-1].records or answers[-1].error:
            break
    verdict = judge_caa(name, answers, issuer)
    if verdict.outcome is CAAOutcome.UNKNOWN:
        raise OrderError(understand("caaUnreadable", verdict.why))
    if verdict.outcome is not CAAOutcome.ALLOWED:
        raise OrderError(understand("caa", verdict.why))


def check_answered(
    name: str, token: str, answer: str, resolver: Resolver, port: int, deadline: float
) -> None:
    """Wait until every address of a name answers a challenge as a CA wants it (RFC 8555 §8.3).

    Args:
        name: The host.
        token: Published to the edge before.
        answer: The text it stands for.
        resolver: Asked for the addresses.
        port: The CA's, 80.
        deadline: When to give up, on :func:`time.monotonic`. A round takes 5 seconds more
            at most: as long as one address has, however slowly it answers.

    Raises:
        OrderError: What an address answers instead, or that there is none.
    """
    while problem := _first_problem(name, token, answer, resolver, port, deadline):
        if time.monotonic() >= deadline:
            raise OrderError(understand(*problem))
        time.sleep(_EVERY)


def _first_problem(
    name: str, token: str, answer: str, resolver: Resolver, port: int, deadline: float
) -> tuple[str, str] | None:
    try:
        addresses = resolver.addresses(name)
    except CertificateError as error:
        return "dns", error.message
    if not addresses:
        return "dns", f"NXDOMAIN or no address: {name} leads nowhere"
    if not resolver.private_networks and (private := _private(addresses)):
        return "dns", f"{name} leads to {private}, which is not on the internet"
    deadline = max(deadline, time.monotonic() + _SECONDS)
    for address in addresses:
        problem = _ask(address, port, name, token, answer, deadline)
        if problem is not None:
            return problem
    return None


def _private(addresses: Iterable[str]) -> str | None:
    return next((each for each in addresses if not is_public(each)), None)


def _ask(
    address: str, port: int, name: str, token: str, answer: str, deadline: float
) -> tuple[str, str] | None:
    where = f"http://{name}{CHALLENGE_PATH}{token} at {address}"
    deadline = min(deadline, time.monotonic() + _SECONDS)
    request = (
        f"GET {CHALLENGE_PATH}{token} HTTP/1.1\r\nHost: {name}\r\n"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    try:
        left = deadline - time.monotonic()
        if left <= 0:
            return "connection", f"{where}: timeout, its addresses together are too slow"
        with socket.create_connection((address, port), left) as connection:
            connection.sendall(request.encode())
            with BoundedResponse(connection, deadline=deadline, most=_ANSWER_BYTES) as response:
                response.begin()
                body = response.read(_BODY_BYTES)
    except TimeoutError:
        return "connection", f"{where}: timeout"
    except (OSError, http.client.HTTPException) as error:
        return "connection", f"{where}: {error}"
    if response.status in _REDIRECTS:
        return None
    if response.status != http.HTTPStatus.OK:
        return "unauthorized", f"{where} answers {response.status}"
    if body.strip() != answer.encode():
        return "incorrectResponse", f"{where} answers something else"
    return None
