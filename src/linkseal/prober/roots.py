"""The roots that browsers trust, as far as this machine knows them."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from linkseal.config import ProberConfig
from linkseal.errors import ConfigError


def trusted_roots(config: ProberConfig) -> list[x509.Certificate]:
    """Return Mozilla's roots and those of ``extra_roots``, to judge chains by.

    Raises:
        ConfigError: ``config-invalid``: one of the files cannot be read.
    """
    return [*mozilla_roots(), *(root for file in config.extra_roots for root in _read(file))]


@cache
def mozilla_roots() -> tuple[x509.Certificate, ...]:
    """Return the roots that browsers trust."""
    return tuple(parse_roots(Path(certifi.where()).read_bytes()))


def parse_roots(data: bytes) -> list[x509.Certificate]:
    """Read roots out of PEM.

    Raises:
        ValueError: There is none in it.
    """
    with warnings.catch_warnings():
        # One of Mozilla's has a serial number that the library means to refuse some day: not
        # for who asks for a verdict to worry about.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_pem_x509_certificates(data)


def _read(file: Path) -> list[x509.Certificate]:
    try:
        return parse_roots(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"prober.extra_roots: {file} cannot be read: {error}",
            hint="name PEM files of certificates",
        ) from error
