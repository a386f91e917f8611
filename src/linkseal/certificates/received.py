"""Is what a CA handed out the certificate that was ordered?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from linkseal.certificates.advice import Problem, Whose
from linkseal.certificates.authority import OrderError
from linkseal.certificates.held import Flight
from linkseal.certificates.pem import parse_certificate
from linkseal.errors import CertificateError

_SKEW: Final = timedelta(minutes=5)
_AGAIN: Final = "it is ordered anew"


def check_received(name: str, chain: str, flight: Flight) -> None:
    """Refuse what is not the certificate that was ordered, or not valid by our clock.

    Args:
        name: It must be for.
        chain: PEM, as downloaded.
        flight: The order, with the key it must fit.

    Raises:
        OrderError: It is something else; ``clock`` when it is only not valid here and now.
    """
    try:
        found = parse_certificate(chain.encode(), flight.key, source=f"of {flight.issuer}")
    except CertificateError as error:
        problem = Problem(
            "unexpectedCertificate", error.message, Whose.ISSUER, _AGAIN, flight.issuer
        )
        raise OrderError(problem) from error
    if name not in found.names:
        detail = f"the certificate is for {', '.join(found.names)}"
        raise OrderError(
            Problem("unexpectedCertificate", detail, Whose.ISSUER, _AGAIN, flight.issuer)
        )
    leaf = x509.load_pem_x509_certificate(chain.encode())
    now = datetime.now(UTC)
    if leaf.not_valid_before_utc > now + _SKEW or leaf.not_valid_after_utc <= now:
        life = f"{leaf.not_valid_before_utc:%F %T} to {leaf.not_valid_after_utc:%F %T} UTC"
        detail = f"the certificate just issued is valid from {life}, and here it is {now:%F %T}"
        advice = "set this machine's clock (NTP)"
        raise OrderError(Problem("clock", detail, Whose.OURS, advice, flight.issuer))
