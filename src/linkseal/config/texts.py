"""Texts of the config file that are more than text."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

SecretText = Annotated[str, Field(repr=False, json_schema_extra={"secret": True})]
"""Text that ``linkseal config show``, errors and reprs never show."""

_NAME: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_NAME: Final = 253 - 64
"""A host name's limit, less one label and its dot: names below it must fit (RFC 1035 §2.3.4)."""


def _domain(text: str) -> str:
    # RFC 1123 §2.1; a last label that is a number would make it an address.
    if not _NAME.fullmatch(text) or len(text) > _LONGEST_NAME:
        raise ValueError(
            f"expected a domain name in lower case, as in ct.example.net, got {text!r}"
        )
    return text


DomainText = Annotated[str, AfterValidator(_domain)]
"""A name that others stand under."""

_SQLITE: Final = re.compile(r"sqlite(\+pysqlite)?:///.+")


def _database(url: str) -> str:
    # Without the value, which may hold a password.
    if url and not _SQLITE.fullmatch(url):
        raise ValueError(
            "expected an SQLite URL, as in sqlite:////var/lib/linkseal/linkseal.db, or nothing"
        )
    return url


DatabaseURL = Annotated[str, AfterValidator(_database)]
"""Where the database is; empty for the one in the data directory."""
