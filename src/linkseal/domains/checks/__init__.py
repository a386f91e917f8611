"""The checks of a branded domain: verdicts as pure functions of an observation."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cryptography import x509

from linkseal.domains.checks import acme, bodies, dns, http, origin, requests, tls
from linkseal.domains.checks.model import (
    REGISTER,
    Check,
    Provider,
    Report,
    Result,
    Severity,
    Verdict,
    View,
)
from linkseal.domains.observation import Observation

__all__ = ["CHECKS", "Check", "Provider", "Report", "Result", "Severity", "Verdict", "judge"]

_FAMILIES = ("DNS", "TLS", "HTTP", "ORG", "ACM")
_MODULES = (dns, tls, http, requests, bodies, origin, acme)  # Importing one registers its checks.


def _place(name: str) -> tuple[int, str]:
    return _FAMILIES.index(name.partition("-")[0]), name


CHECKS: dict[str, Check] = {name: REGISTER[name] for name in sorted(REGISTER, key=_place)}
"""Every check by its id, in the order of a report."""


def judge(
    observation: Observation,
    *,
    roots: Sequence[x509.Certificate] = (),
    cdn: Provider | None = None,
    only: Collection[str] | None = None,
) -> Report:
    """Judge an observation; never raises, whatever was observed.

    Args:
        observation: Its ``at`` is the time of the verdicts.
        roots: Those that browsers trust; without any, chains are not judged.
        cdn: The CDN in front of the domain, if one was found.
        only: Ids of the checks to ask; all when ``None``.
    """
    view = View(observation, tuple(roots), cdn)
    return Report(
        tuple(each.judge(view) for name, each in CHECKS.items() if only is None or name in only),
        cdn.name if cdn else "",
        https_only=http.https_only(view),
    )
