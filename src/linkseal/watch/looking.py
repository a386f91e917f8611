"""A look at a domain, as a person asks for it and as the watch does: one way for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from linkseal.certificates.held import standing
from linkseal.config import Config
from linkseal.domains.base import DomainState
from linkseal.domains.caa import known_identities
from linkseal.domains.checks import CHECKS, Report, Verdict
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.domains.observation import Observation
from linkseal.errors import StoreError
from linkseal.prober import EVERYTHING, KeySigner, Part, ProbeRequest
from linkseal.store import CertificateName, Challenge, Domain, Store
from linkseal.watch.canary import is_shown
from linkseal.watch.found import are_valid


def make_request(
    config: Config,
    store: Store,
    domain: Domain,
    key: bytes,
    *,
    parts: Part = EVERYTHING,
    addresses: tuple[str, ...] = (),
) -> ProbeRequest:
    """Return what the prober is asked of a domain.

    Args:
        config: The service's.
        store: Asked only for a look that takes in everything.
        domain: Which.
        key: The probe key.
        parts: What is looked at.
        addresses: Where it was found to lead before; see :class:`ProbeRequest`.

    Raises:
        StoreError: The database cannot be used.
    """
    known = Observation(
        host=domain.host,
        target=domain.target,
        ownership=domain.ownership,
        base_domain=config.base_domain,
        route=domain.route.value if domain.route else "",
        at=datetime.now(UTC),
        https_links=domain.state in {DomainState.SSL_ENABLED, DomainState.SSL_DEGRADED},
    )
    app_files: tuple[str, ...] = ()
    if Part.REST in parts:
        authority = store.client_authorities.of(domain.host)
        title = authority.title if authority else ""
        known = msgspec.structs.replace(known, client_authority=title)
        known = _with_certificate(config, store, domain, known)
        app_files = store.app_links.served_on(domain)
    signer = KeySigner(domain.host, key)
    return ProbeRequest(known, signer, parts, addresses, app_files)


def _with_certificate(
    config: Config, store: Store, domain: Domain, known: Observation
) -> Observation:
    """Return it with how it stands with the certificate we hold, and with what CAs are asked."""
    held = _held(store, domain.host)
    if held is not None:
        stands = standing(held, store.certificates.of_name(held.name), known.at)
        known = msgspec.structs.replace(
            known,
            certificate_state=stands.state.value,
            certificate_problem=(held.problem or {}).get("detail", ""),
            certificate_problem_type=(held.problem or {}).get("type", ""),
            certificate_failing_since=_failing_since(store, held),
            waiting=held.waiting,
            acme_delegation=domain.delegation if held.challenge is Challenge.DNS_01 else "",
        )
    if domain.route is not Route.ACME:
        return known
    directories = [each.directory for each in config.acme.issuers]
    accounts = (store.acme.account(each) for each in directories)
    return msgspec.structs.replace(
        known,
        caa_identities=known_identities(directories),
        caa_accounts=tuple(account[0] for account in accounts if account and account[0]),
    )


def _failing_since(store: Store, held: CertificateName) -> datetime | None:
    """Return when the first try failed since the last certificate; ``None`` if none did."""
    if held.problem is None or not held.failures:
        return None
    tries = [each.at for each in store.certificates.history(held.name) if each.what == "failed"]
    return next(iter(tries[-held.failures :]), None)


def _held(store: Store, host: str) -> CertificateName | None:
    try:
        return store.certificates.name(host)
    except StoreError as error:
        if error.code == "certificate-missing":
            return None
        raise


def keep_report(store: Store, domain: Domain, report: Report, at: datetime) -> bool:
    """Keep the report of a whole look; return whether it was kept.

    Args:
        store: Where.
        domain: As it was when the look began: the report of another claim is not kept.
        report: Of every check.
        at: When the look began, aware: that of an older one than the one kept is not kept.
    """
    return store.domains.save_report(
        domain.host,
        as_stored(report),
        target=domain.target,
        route=domain.route,
        blocks=not report.proves_ssl,
        now=at,
        https_only=report.https_only,
    )


def as_stored(report: Report) -> dict[str, Any]:
    """Return a report as the store keeps it."""
    verdicts = msgspec.to_builtins(report.verdicts, enc_hook=_text)
    return {"cdn": report.cdn, "verdicts": verdicts}


def from_stored(stored: Mapping[str, Any]) -> Report:
    """Return a report that the store kept, without what checks said that there are no more."""
    kept = [each for each in stored.get("verdicts", ()) if each["check"] in CHECKS]
    return Report(tuple(msgspec.convert(kept, list[Verdict])), stored.get("cdn", ""))


@dataclass(frozen=True, slots=True)
class Concluded:
    """What followed from a look.

    Attributes:
        domain: As it is after it.
        kept: Whether its report was kept. If not, nothing followed: a newer one is on record, or
            the domain was claimed anew or given another route meanwhile.
    """

    domain: Domain
    kept: bool


def conclude(
    config: Config,
    store: Store,
    domain: Domain,
    report: Report,
    names: Report,
    at: datetime,
    now: datetime,
) -> Concluded:
    """Keep the report that somebody asked for, and take the steps that follow from it.

    They lead on only, whatever fails: one look may be mistaken, and must not break what works.
    The watch, which looks several times and knows when it is blind, takes steps back.

    Args:
        config: The service's.
        store: Where.
        domain: As it was when the look began.
        report: Of every check.
        names: What :func:`~linkseal.watch.found.judge_names` says of the same look.
        at: When the look began, aware.
        now: Aware.

    Raises:
        StoreError: The database cannot be used.
    """
    host = domain.host
    if not keep_report(store, domain, report, at):
        return Concluded(store.domains.get(host), kept=False)
    if are_valid(names):
        target = domain.target
        after = store.domains.apply_dns(host, target=target, passed=True, who="check", now=now)
    else:
        after = store.domains.get(host)
    approve = after.route is domain.route and config.auto_approve and report.proves_ssl
    if approve and after.state is DomainState.SSL_REQUESTED and not is_shown(config, host):
        after = store.domains.apply(host, Step(Action.APPROVE, "auto-approve"), now)
    return Concluded(after, kept=True)


_text: Callable[[Any], Any] = str
