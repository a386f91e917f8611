"""Certificates: the local CA of a machine without one, and configured files."""

from linkseal.certificates.local_ca import LocalCA
from linkseal.certificates.pem import Certificate, parse_certificate, read_certificate

__all__ = ["Certificate", "LocalCA", "parse_certificate", "read_certificate"]
