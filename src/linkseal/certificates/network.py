"""The way to a CA: certbot's, with an end to every answer and patience with nonces."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
from acme import client, messages
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from linkseal.certificates.bounded import BoundedAdapter

TIMEOUT: Final = 30.0
"""Seconds for one request to a CA, its answer included."""
_ANSWER_BYTES: Final = 1 << 20
_MOST_NONCES: Final = 10
_USER_AGENT: Final = "linkseal"


class Network(client.ClientNetwork):
    """Adds what certbot's lacks: an end, patience with nonces, and Retry-After of refusals.

    Args:
        key: The account's.
        seconds: For one request, its answer included.

    Attributes:
        retry_after: When the CA wants to be asked again, by its last answer.
    """

    def __init__(self, key: JWKEC, seconds: float) -> None:
        super().__init__(key, alg=ES256, user_agent=_USER_AGENT)
        self.retry_after: datetime | None = None
        self._adapter = BoundedAdapter(seconds, _ANSWER_BYTES)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, self._adapter)

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Post, and again when the CA refuses its own nonce."""
        for _ in range(_MOST_NONCES):
            try:
                return self._post_once(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return self._post_once(*args, **kwargs)

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        self._adapter.begin()
        response = super()._send_request(method, url, *args, **kwargs)
        self.retry_after = _instant(response.headers.get("Retry-After"))
        return response


def _instant(retry_after: str | None) -> datetime | None:
    """Read a Retry-After (RFC 9110 §10.2.3): seconds, or a date."""
    if not retry_after:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        if retry_after.strip().isdigit():
            return datetime.now(UTC) + timedelta(seconds=int(retry_after))
        return parsedate_to_datetime(retry_after).astimezone(UTC)
    return None
