"""Paths under ``/.well-known/`` (RFC 8615) that more than one room knows. Pure."""

from __future__ import annotations

from typing import Final

CHALLENGE_PATH: Final = "/.well-known/acme-challenge/"
"""Where a CA looks for the answer to an HTTP-01 challenge (RFC 8555 §8.3); the token follows."""
