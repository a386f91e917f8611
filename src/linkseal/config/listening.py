"""What addresses must not be together: two listeners on one, mail passed on to ourselves."""

from __future__ import annotations

from collections.abc import Iterator

from linkseal.config.address import Address
from linkseal.config.settings import Config
from linkseal.errors import ConfigError

_EVERY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def refuse_clashes(config: Config) -> None:
    """Refuse addresses that cannot be listened on together, and a next hop that is ourselves.

    Raises:
        ConfigError: ``config-invalid``, naming both keys.
    """
    listeners = list(_listeners(config))
    taken: dict[Address, str] = {}
    for key, address in listeners:
        other = taken.setdefault(address, key)
        if other != key and address.port:
            raise ConfigError(
                f"{other} and {key} are both {address}, where only one can listen",
                hint=f"give {key} another port",
            )
    hop = config.smtp.next_hop
    for key, address in listeners:
        if key.startswith("smtp.") and _leads_to(hop, address):
            raise ConfigError(
                f"smtp.next_hop {hop} is this proxy's own {key}: each message would come "
                "back without end",
                hint="set smtp.next_hop to your mail server, or the proxy to another port",
            )


def _listeners(config: Config) -> Iterator[tuple[str, Address]]:
    for key in ("http", "https", "ops"):
        yield f"edge.{key}", getattr(config.edge, key)
    if config.smtp.enabled:
        yield "smtp.listen", config.smtp.listen
        for number, extra in enumerate(config.smtp.listeners):
            yield f"smtp.listeners[{number}].listen", extra.listen


def _leads_to(target: Address, listener: Address) -> bool:
    """Whether a connection to an address is one to a listener, as far as config files tell.

    A name, and an address of another interface, are taken for another machine's.
    """
    if target.port != listener.port or not target.port:
        return False
    if target.host.lower() == listener.host.lower():
        return True
    here = target.is_loopback or target.host in _EVERY
    if listener.host in _EVERY:
        # :: takes IPv4 as well; 0.0.0.0 takes nothing else.
        return here and not (listener.host != "::" and ":" in target.host)
    names = {target.host.lower(), listener.host.lower()}
    return here and listener.is_loopback and bool(names & {"localhost", *_EVERY})
