"""The files a certificate is imported from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from linkseal.certificates.pem import read_file
from linkseal.certificates.upload import Upload, read_upload
from linkseal.errors import CertificateError
from linkseal.prober.roots import mozilla_roots, parse_roots


def open_files(
    file: Path,
    key: Path | None,
    *,
    password_file: Path | None,
    name: str,
    cdn: bool,
    now: datetime,
    roots: Sequence[Path],
) -> Upload:
    """Read a certificate for a name out of files; see :func:`read_upload`.

    Args:
        file: PEM or PKCS #12.
        key: PEM, if it is not in that file.
        password_file: Holds the password of either; the end of its line is not part of it.
        name: Which the certificate must be for.
        cdn: Whether Cloudflare is in front of that name.
        now: Aware.
        roots: PEM, trusted beside those of browsers.

    Raises:
        CertificateError: A file cannot be read, or a browser would refuse what is in it.
    """
    return read_upload(
        read_file(file),
        read_file(key) if key else None,
        password=_password(password_file) if password_file else None,
        names=[name],
        cdn=cdn,
        now=now,
        roots=trusted_roots(roots),
    )


def trusted_roots(more: Sequence[Path]) -> list[x509.Certificate]:
    """Return the roots that browsers trust, and those in PEM files.

    Raises:
        CertificateError: A file cannot be read.
    """
    return [*mozilla_roots(), *(root for file in more for root in _roots(file))]


def _password(file: Path) -> str:
    # As an editor or `echo` leaves it: the line's end is not the password's.
    return read_file(file).decode("utf-8", "surrogateescape").rstrip("\r\n")


def _roots(file: Path) -> list[x509.Certificate]:
    try:
        return parse_roots(read_file(file))
    except ValueError as error:
        raise CertificateError(
            f"there is no PEM certificate in {file}",
            code="certificate-unreadable",
            hint="give the root as PEM; `openssl x509 -inform der` turns DER into it",
        ) from error
