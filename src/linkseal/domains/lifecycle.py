"""A branded domain's life: which action leads from which state to which. Pure.

No https link is made before SSL was requested and approved, and nothing but a new claim,
with a new target and a new proof to show, leads out of ``released``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from linkseal.domains.base import DomainState
from linkseal.errors import DomainError

REPORT_LIFE: Final = timedelta(days=1)
"""How old the report may be that SSL is approved on."""


class Route(enum.StrEnum):
    """How a branded domain gets SSL."""

    CDN = "cdn"
    PROXY = "proxy"
    ACME = "acme"
    UPLOADED = "uploaded"


class Action(enum.StrEnum):
    """What can be done with a branded domain, or happen to it."""

    CLAIM = "claim"
    DNS_PASSED = "dns-passed"
    DNS_FAILED = "dns-failed"
    REQUEST_SSL = "request-ssl"
    APPROVE = "approve"
    REJECT = "reject"
    DISABLE_SSL = "disable-ssl"
    DEGRADE = "degrade"
    RECOVER = "recover"
    RELEASE = "release"
    ENROL = "enrol"


_S = DomainState

# Where DNS fails, links must leave the name: so a request that waits, and a rejected one,
# go back to claimed. DNS of an enabled domain is the watch's to judge: it degrades it.
TABLE: Final[dict[Action, dict[DomainState, DomainState]]] = {
    Action.CLAIM: {_S.RELEASED: _S.CLAIMED},
    Action.DNS_PASSED: {_S.CLAIMED: _S.DNS_VALID},
    Action.DNS_FAILED: {
        _S.DNS_VALID: _S.CLAIMED,
        _S.SSL_REQUESTED: _S.CLAIMED,
        _S.REJECTED: _S.CLAIMED,
    },
    # Of what waits already: by another route, see refuse_same_route.
    Action.REQUEST_SSL: {
        _S.DNS_VALID: _S.SSL_REQUESTED,
        _S.REJECTED: _S.SSL_REQUESTED,
        _S.SSL_REQUESTED: _S.SSL_REQUESTED,
    },
    Action.APPROVE: {_S.SSL_REQUESTED: _S.SSL_ENABLED},
    Action.REJECT: {_S.SSL_REQUESTED: _S.REJECTED},
    # What is broken may be DNS: the checks have to pass before links are http there.
    Action.DISABLE_SSL: {
        _S.SSL_REQUESTED: _S.DNS_VALID,
        _S.SSL_ENABLED: _S.DNS_VALID,
        _S.SSL_DEGRADED: _S.CLAIMED,
    },
    Action.DEGRADE: {_S.SSL_ENABLED: _S.SSL_DEGRADED},
    Action.RECOVER: {_S.SSL_DEGRADED: _S.SSL_ENABLED},
    Action.RELEASE: {state: _S.RELEASED for state in _S if state is not _S.RELEASED},
    # A note of whose word is taken for clients' addresses: it changes no state.
    Action.ENROL: {state: state for state in _S if state is not _S.RELEASED},
}

_DOING = {
    Action.CLAIM: "claim it again",
    Action.DNS_PASSED: "publish its records and have them checked",
    Action.DNS_FAILED: "",
    Action.REQUEST_SSL: "request SSL",
    Action.APPROVE: "approve the request",
    Action.REJECT: "reject the request",
    Action.DISABLE_SSL: "disable SSL",
    Action.DEGRADE: "",
    Action.RECOVER: "mend it: the watch then takes it up by itself",
    Action.RELEASE: "release it",
    Action.ENROL: "",
}

_DOING_WHILE_IT_WAITS = {
    Action.REQUEST_SSL: "request SSL by another route",
    Action.DISABLE_SSL: "withdraw the request with `disable-ssl`",
}

_IS = {
    _S.CLAIMED: "is claimed, and its DNS is not valid yet",
    _S.DNS_VALID: "has valid DNS, and no SSL yet",
    _S.SSL_REQUESTED: "waits for the approval of SSL",
    _S.SSL_ENABLED: "has SSL enabled",
    _S.SSL_DEGRADED: "has SSL enabled, which is broken now",
    _S.REJECTED: "was rejected",
    _S.RELEASED: "is released",
}

# The sentence on record where nobody gave one; where there is none, one has to be given.
_REASON = {
    Action.CLAIM: "claimed",
    Action.DNS_PASSED: "ownership and DNS checks pass",
    Action.REQUEST_SSL: "SSL requested",
    Action.APPROVE: "approved",
    Action.RECOVER: "the checks pass again",
    Action.RELEASE: "released",
}


@dataclass(frozen=True, slots=True)
class Step:
    """An action, by whom and why.

    Attributes:
        action: What is done.
        who: The operator's or customer's login, or the part of the service that does it.
        reasons: Why, in sentences; a usual one when none is given.
        route: How SSL is had, for a request.

    Raises:
        DomainError: ``domain-reason-missing`` or ``domain-route-missing``.
    """

    action: Action
    who: str
    reasons: tuple[str, ...] = ()
    route: Route | None = None

    def __post_init__(self) -> None:
        reasons = tuple(reason.strip() for reason in self.reasons if reason.strip())
        if not reasons:
            usual = _REASON.get(self.action)
            if usual is None:
                raise DomainError(
                    f"{self.action} needs a reason",
                    code="domain-reason-missing",
                    hint="say why in a sentence: it goes on record, and the customer reads it",
                )
            reasons = (usual if self.route is None else f"{usual}, route {self.route}",)
        object.__setattr__(self, "reasons", reasons)
        if self.action is Action.REQUEST_SSL and self.route is None:
            raise DomainError(
                "a request for SSL needs a route",
                code="domain-route-missing",
                hint="cdn, proxy, acme or uploaded",
            )


def possible(state: DomainState) -> list[Action]:
    """Return what can be done or happen in a state."""
    return [action for action, steps in TABLE.items() if state in steps]


def advice(state: DomainState) -> list[str]:
    """Return what a person can do in a state, in words."""
    doing = _DOING | _DOING_WHILE_IT_WAITS if state is _S.SSL_REQUESTED else _DOING
    return [doing[action] for action in possible(state) if doing[action]]


def meaning(state: DomainState) -> str:
    """Return what a state says of a domain, to come after its name."""
    return _IS[state]


def coming(host: str, state: DomainState) -> str:
    """Return what comes next once a check has led a domain to a state, with its command."""
    if state is DomainState.DNS_VALID:
        return (
            f"ask for https links with `linkseal domain request-ssl {host} --route cdn`, or "
            "proxy, acme or uploaded."
        )
    return "new mail gets https links." if state is DomainState.SSL_ENABLED else ""


def next_state(state: DomainState, action: Action) -> DomainState:
    """Return the state an action leads to.

    Raises:
        DomainError: ``domain-action-refused``: not from this state.
    """
    after = TABLE[action].get(state)
    if after is None:
        raise DomainError(
            f"{action} is not possible: the domain {_IS[state]}",
            code="domain-action-refused",
            hint=f"what can be done now: {'; '.join(advice(state))}",
        )
    return after


def refuse_same_route(state: DomainState, route: Route | None, asked: Route) -> None:
    """Refuse a request for what is asked for already: it keeps its place in the queue.

    Raises:
        DomainError: ``domain-request-waits``.
    """
    if state is DomainState.SSL_REQUESTED and route is asked:
        raise DomainError(
            f"SSL by route {asked} is asked for already, and waits for approval",
            code="domain-request-waits",
            hint="have it checked with `linkseal domain check` and approved, ask for another "
            "route, or withdraw the request with `linkseal domain disable-ssl`",
        )


def refuse_released(host: str, state: DomainState) -> None:
    """Refuse to set something up on a domain that nothing is set up for any more.

    Raises:
        DomainError: ``domain-released``.
    """
    if state is DomainState.RELEASED:
        raise DomainError(
            f"{host} is released: no links are made on it, and nothing is set up there",
            code="domain-released",
            hint="claim it again with `linkseal domain add`, publish the new records, then do this",
        )


def dns_action(state: DomainState, *, passed: bool) -> Action | None:
    """Return the action that the result of the DNS checks is; ``None`` if it changes nothing."""
    action = Action.DNS_PASSED if passed else Action.DNS_FAILED
    return action if state in TABLE[action] else None


def refuse_approval(*, report_at: datetime | None, blocking: bool, now: datetime) -> None:
    """Refuse to enable SSL that is not proven to work.

    Args:
        report_at: When the latest report of this claim and route was made; ``None``: never.
        blocking: Whether it does not prove SSL: a check fails that SSL must not be enabled with,
            or the challenge was not answered.
        now: Aware.

    Raises:
        DomainError: ``domain-report-missing``, ``domain-report-old`` or ``domain-report-blocks``.
    """
    again = "run `linkseal domain check`, and approve what it then says"
    if report_at is None:
        raise DomainError(
            "the domain was not checked yet for this route",
            code="domain-report-missing",
            hint=again,
        )
    if now - report_at > REPORT_LIFE:
        raise DomainError(
            f"the latest report is of {report_at:%Y-%m-%d %H:%M} UTC: too old",
            code="domain-report-old",
            hint=again,
        )
    if blocking:
        raise DomainError(
            "the latest report does not prove that SSL works",
            code="domain-report-blocks",
            hint="have mended what fails and check again, or reject the request with the reason",
        )
