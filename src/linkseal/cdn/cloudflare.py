"""A customer's zone at Cloudflare, through its official SDK: what is there, and what is made.

The token is the customer's: it is kept in memory only, sent nowhere but to the API, and stands
in no message, log or exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, Self
from urllib.parse import urlsplit

from cloudflare import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    Cloudflare,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)

from linkseal.domains.claim import CHALLENGE_LABEL
from linkseal.domains.guides.applying import Change, Found, Zone, ZoneRecord, ZoneRule
from linkseal.domains.guides.cloudflare import PHASES, Phase, Rule
from linkseal.errors import DomainError

API: Final = "https://api.cloudflare.com/client/v4"
TIMEOUT: Final = 20.0
"""Seconds for one request."""

_TOKEN: Final = re.compile(r"[!-~]{1,256}")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_MOST_LISTED: Final = 1000

_ZONES: Final = "Zone: Zone: Read"
_DNS: Final = "Zone: DNS: Edit"
_RULES: Final[dict[Phase, str]] = {
    "http_config_settings": "Zone: Config Rules: Edit",
    "http_request_cache_settings": "Zone: Cache Rules: Edit",
    "http_request_dynamic_redirect": "Zone: Single Redirect: Edit",
}
PERMISSIONS: Final = (_ZONES, _DNS, *_RULES.values())
"""What a token needs, as the dashboard names it; with Zone: Zone Settings: Read more is told."""

_NAMES: Final[dict[Phase, str]] = {
    "http_config_settings": "Configuration rules",
    "http_request_cache_settings": "Cache rules",
    "http_request_dynamic_redirect": "Redirect rules",
}
# What the API says to a token that it does not know, or that is none.
_NO_TOKEN_CODES: Final = frozenset({1000, 6003, 6111})


class Account:
    """What one token may see and change. A context manager.

    Args:
        token: An API token of the customer's.
        base_url: Of the API; empty for Cloudflare's own.

    Raises:
        DomainError: ``cloudflare-token`` or ``cloudflare-url``. Every method raises it, too:
            ``cloudflare-token``, ``cloudflare-permission``, ``cloudflare-unreachable``,
            ``cloudflare-busy`` or ``cloudflare-refused``.
    """

    def __init__(self, token: str, *, base_url: str = "") -> None:
        if not _TOKEN.fullmatch(token):
            raise _no_token("it has characters that no token has, or is empty")
        url = urlsplit(base_url or API)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
            raise DomainError(
                f"{base_url!r} is no https URL: the token would be sent in the clear",
                code="cloudflare-url",
                hint="unset CLOUDFLARE_BASE_URL, or give an https URL",
            )
        self._client = Cloudflare(api_token=token, base_url=base_url or API, timeout=TIMEOUT)
        # The SDK takes these from the environment, and would send them in place of the token.
        self._client.api_email = self._client.api_key = self._client.user_service_key = None
        # What was sent may have been done though no answer came: run again, it is looked at first.
        self._writing: Any = self._client.with_options(max_retries=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def look(self, host: str, zone_id: str = "") -> Found:
        """Return what is there for a name; nothing is changed.

        Args:
            host: The branded domain.
            zone_id: Which zone, if there are several of the name; empty to find it.

        Raises:
            DomainError: Also ``cloudflare-zone-missing``, ``cloudflare-zone-ambiguous`` or
                ``cloudflare-zone-inactive``.
        """
        zone = self._zone(host, zone_id)
        rulesets: dict[Phase, str] = {}
        rules: list[ZoneRule] = []
        for phase in PHASES:
            with _asking(_RULES[phase]):
                found = self._ruleset(zone.id, phase)
            if found is not None:
                rulesets[phase] = found["id"]
                rules += [_rule(phase, each) for each in found.get("rules") or ()]
        return Found(
            zone,
            (
                *self._records(zone.id, host),
                *self._records(zone.id, f"{CHALLENGE_LABEL}.{host}"),
            ),
            rulesets,
            tuple(rules),
            ssl=self._setting(zone.id, "ssl"),
            always_https=self._setting(zone.id, "always_use_https") == "on",
        )

    def make(self, zone: Zone, change: Change) -> None:
        """Do one line of a plan; one that keeps what is there does nothing.

        Raises:
            DomainError: It was not done; or it is not known whether it was, if the API could
                not be reached.
        """
        if change.record is not None:
            with _asking(_DNS):
                self._write_record(zone, change.record)
        if change.rule is not None:
            with _asking(_RULES[change.rule.rule.phase]):
                self._write_rule(zone, change.ruleset, change.rule)

    def _zone(self, host: str, zone_id: str) -> Zone:
        with _asking(_ZONES):
            found = self._named(host, zone_id) if zone_id else self._longest(host)
        if not found:
            raise _no_zone(host)
        active = [each for each in found if each.status == "active"]
        if not active:
            raise DomainError(
                f"the zone {found[0].name} at Cloudflare is {found[0].status}, not active",
                code="cloudflare-zone-inactive",
                hint="finish its set-up there: the domain's registrar must name Cloudflare's "
                "name servers",
            )
        if len(active) > 1:
            shown = ", ".join(f"{each.id} ({each.account.name})" for each in active)
            raise DomainError(
                f"the token sees several zones {active[0].name}: {shown}",
                code="cloudflare-zone-ambiguous",
                hint="say which with --zone-id",
            )
        zone = active[0]
        return Zone(
            zone.id,
            zone.name,
            partial=zone.type == "partial",
            free=getattr(zone.plan, "legacy_id", "") == "free",
        )

    def _named(self, host: str, zone_id: str) -> list[Any]:
        try:
            zone = self._client.zones.get(zone_id=zone_id)
        except NotFoundError:
            return []
        return [zone] if zone is not None and f".{host}".endswith(f".{zone.name}") else []

    def _longest(self, host: str) -> list[Any]:
        """Return the zones of the longest name, of those that are active if there are any."""
        labels = host.split(".")
        inactive: list[Any] = []
        for start in range(len(labels) - 1):
            listed = self._client.zones.list(name=".".join(labels[start:]))
            found = list(islice(listed, _MOST_LISTED))
            if any(each.status == "active" for each in found):
                return found
            # As long as it is pending, the zone above answers for its names.
            inactive = inactive or found
        return inactive

    def _ruleset(self, zone_id: str, phase: Phase) -> dict[str, Any] | None:
        try:
            found = self._client.rulesets.phases.get(phase, zone_id=zone_id)
        except NotFoundError:  # A zone has none before its first rule.
            return None
        return found.to_dict(mode="json")

    def _records(self, zone_id: str, name: str) -> list[ZoneRecord]:
        with _asking(_DNS):
            listed: Any = self._client.dns.records.list(zone_id=zone_id, name={"exact": name})
            return [
                ZoneRecord(
                    each.id,
                    each.type,
                    name,
                    getattr(each, "content", None) or "",
                    proxied=bool(getattr(each, "proxied", False)),
                )
                for each in islice(listed, _MOST_LISTED)
            ]

    def _setting(self, zone_id: str, name: str) -> str:
        """Return a setting of the whole zone; empty if the token may not read it."""
        try:
            with _asking("Zone: Zone Settings: Read"):
                found: Any = self._client.zones.settings.get(name, zone_id=zone_id)
        except DomainError as error:
            if error.code == "cloudflare-permission":
                return ""
            raise
        return str(getattr(found, "value", ""))

    def _write_record(self, zone: Zone, record: ZoneRecord) -> None:
        values: dict[str, Any] = {
            "type": record.type,
            "name": record.name,
            "content": record.content,
            "ttl": 1,  # Automatic.
        }
        if record.type == "CNAME":
            values["proxied"] = record.proxied
        records = self._writing.dns.records
        if record.id:
            records.edit(record.id, zone_id=zone.id, **values)
        else:
            records.create(zone_id=zone.id, **values)

    def _write_rule(self, zone: Zone, ruleset: str, wanted: ZoneRule) -> None:
        rule = wanted.rule
        # Whole, also when it is changed: what is left out would be gone.
        values = {
            "ref": rule.ref,
            "description": rule.description,
            "expression": rule.expression,
            "action": rule.action,
            "action_parameters": _plain(rule.parameters),
            "enabled": wanted.enabled,
        }
        rulesets = self._writing.rulesets
        if wanted.id:
            rulesets.rules.edit(wanted.id, ruleset_id=ruleset, zone_id=zone.id, **values)
        elif ruleset:
            rulesets.rules.create(ruleset, zone_id=zone.id, **values)
        else:
            # Not the PUT of the phase: it would replace rules made since we looked.
            rulesets.create(
                zone_id=zone.id,
                kind="zone",
                name=_NAMES[rule.phase],
                phase=rule.phase,
                rules=[values],
            )


def _rule(phase: Phase, found: Mapping[str, Any]) -> ZoneRule:
    rule = Rule(
        phase,
        str(found.get("ref") or ""),
        str(found.get("description") or ""),
        str(found.get("expression") or ""),
        str(found.get("action") or ""),
        found.get("action_parameters") or {},
    )
    return ZoneRule(str(found.get("id") or ""), rule, enabled=found.get("enabled") is not False)


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _plain(v) if isinstance(v, Mapping) else v for key, v in values.items()}


@contextmanager
def _asking(permission: str) -> Iterator[None]:
    """Tell the SDK's errors in our words, and without the request that holds the token.

    Args:
        permission: What the token needs for it.
    """
    try:
        yield
    except (AuthenticationError, PermissionDeniedError) as error:
        told = _told(error)
        if isinstance(error, AuthenticationError) or "invalid" in told.lower():
            raise _no_token(f"Cloudflare says {told}") from None
        raise DomainError(
            f"the token lacks a permission: {permission} ({told})",
            code="cloudflare-permission",
            hint=f"add it to the token (My Profile, API Tokens, Edit), for this zone; it needs "
            f"{', '.join(PERMISSIONS)}",
        ) from None
    except RateLimitError as error:
        raise DomainError(
            f"Cloudflare takes no more requests for now: {_told(error)}",
            code="cloudflare-busy",
            hint="wait five minutes and run this again: it goes on where it stopped",
            retryable=True,
        ) from None
    except APIConnectionError as error:
        raise DomainError(
            f"Cloudflare's API cannot be reached: {error.message}",
            code="cloudflare-unreachable",
            hint="see that this machine may connect to api.cloudflare.com, and run this again: "
            "it goes on where it stopped",
            retryable=True,
        ) from None
    except APIError as error:
        if _codes(error) & _NO_TOKEN_CODES:
            raise _no_token(f"Cloudflare says {_told(error)}") from None
        raise DomainError(
            f"Cloudflare refuses: {_told(error)}",
            code="cloudflare-refused",
            hint="do this step by hand as `linkseal domain guide --cdn cloudflare` says, or mend "
            "what it names and run this again: it goes on where it stopped",
        ) from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # The SDK takes any answer of status 200 for one of the API's.
        raise DomainError(
            "what answered is not Cloudflare's API",
            code="cloudflare-refused",
            hint="see that no proxy on the way answers in its place, and that "
            "CLOUDFLARE_BASE_URL is not set",
        ) from error


def _told(error: APIError) -> str:
    """Return what the API said: each message with its code."""
    said = [f"{each.message} ({each.code})" for each in error.errors or () if each.message]
    if said:
        return ", ".join(said)
    if isinstance(error, APIStatusError | APIResponseValidationError):
        return f"status {error.status_code}"
    return "no more"


def _codes(error: APIError) -> set[int]:
    return {int(each.code) for each in error.errors or () if each.code is not None}


def _no_token(why: str) -> DomainError:
    return DomainError(
        f"the API token is not valid: {why}",
        code="cloudflare-token",
        hint="copy it whole, or make one at dash.cloudflare.com (My Profile, API Tokens) with "
        f"{', '.join(PERMISSIONS)}",
    )


def _no_zone(host: str) -> DomainError:
    return DomainError(
        f"no zone that the token sees holds {host}",
        code="cloudflare-zone-missing",
        hint="see that its DNS is at Cloudflare, and that the token's Zone Resources include the "
        "zone, with Zone: Zone: Read",
    )
