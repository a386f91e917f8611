"""Certificates: the local CA of a machine without one, and configured files."""

from linkseal.certificates.local_ca import SEALED_FILES, LocalCA
from linkseal.certificates.pem import Certificate, parse_certificate, read_certificate

__all__ = ["SEALED_FILES", "Certificate", "LocalCA", "parse_certificate", "read_certificate"]
