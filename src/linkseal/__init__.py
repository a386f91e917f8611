"""Linkseal: self-hosted, SSL-enabled click and open tracking of email."""

__version__ = "0.1.0"
