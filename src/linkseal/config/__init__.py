"""Configuration: one TOML file, environment overrides, a default for everything.

Found, first match wins: ``--config``, ``LINKSEAL_CONFIG``, ``./linkseal.toml``,
``/etc/linkseal/linkseal.toml``; with none of them every default holds and all
listens on loopback. ``LINKSEAL_EDGE__WORKERS=4`` overrides ``[edge] workers``.
Unknown keys are refused: a misspelt key must not silently do nothing.
"""

from __future__ import annotations

from linkseal.config.address import Address, AddressField, plain_address
from linkseal.config.keys import KeyReport, describe_keys
from linkseal.config.loading import SEARCH, Loaded, load
from linkseal.config.sections import (
    ACMEConfig,
    CDNConfig,
    CDNSources,
    DNSConfig,
    EdgeConfig,
    IssuerConfig,
    JournalConfig,
    ListenerConfig,
    LogConfig,
    MailConfig,
    ProberConfig,
    Section,
    SMTPConfig,
    StoreConfig,
    TLSConfig,
    WatchConfig,
)
from linkseal.config.settings import ENV_PREFIX, Config

__all__ = [
    "ENV_PREFIX",
    "SEARCH",
    "ACMEConfig",
    "Address",
    "AddressField",
    "CDNConfig",
    "CDNSources",
    "Config",
    "DNSConfig",
    "EdgeConfig",
    "IssuerConfig",
    "JournalConfig",
    "KeyReport",
    "ListenerConfig",
    "Loaded",
    "LogConfig",
    "MailConfig",
    "ProberConfig",
    "SMTPConfig",
    "Section",
    "StoreConfig",
    "TLSConfig",
    "WatchConfig",
    "describe_keys",
    "load",
    "plain_address",
]
