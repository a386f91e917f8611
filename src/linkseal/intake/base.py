"""Which base a customer's mail gets, of what the config and the store say."""

from __future__ import annotations

from collections.abc import Sequence

from linkseal.config import Config
from linkseal.domains.base import Base, DegradedPolicy, SSLPolicy, choose_base, stricter
from linkseal.store import Customer, Domain


def base_of_mail(
    config: Config, customer: Customer, domains: Sequence[Domain], from_domain: str
) -> Base:
    """Return which base the links of a message get; see :func:`choose_base`.

    Args:
        config: The service's.
        customer: Whose mail it is.
        domains: All of theirs.
        from_domain: Of its From address, lower case; empty if it has none.
    """
    return choose_base(
        shared_host=config.shared_host,
        from_domain=from_domain,
        sending_ip=customer.sending_ip,
        domains=[each.branded() for each in domains],
        ssl=stricter(SSLPolicy(config.ssl), customer.ssl),
        degraded=DegradedPolicy(config.degraded),
    )
