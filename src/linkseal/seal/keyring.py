"""The token keys: several that open, one that seals.

Rotating adds a key and makes it the active one; the old ones stay, so links already
sent keep opening for ever. A key is removed only to kill every link sealed under it.
Pure: new key material is handed in; ``linkseal.vault`` keeps keyrings at rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from linkseal.errors import SealError, TokenError
from linkseal.seal import token as codec
from linkseal.seal.token import Sealed

KEY_BYTES: Final = 64
"""AES-256-SIV takes two 256-bit keys (RFC 5297 §2.1)."""
MAX_KEY_ID: Final = 0xFFFF


class Keyring:
    """Seals and opens tokens under a set of keys.

    Args:
        keys: Key id (1 … 65535) to 64 secret bytes. At least one.
        active: The id of the key that seals.

    Raises:
        SealError: ``keyring-invalid`` when a key or the active id is not usable.
    """

    __slots__ = ("_ciphers", "_keys", "active")

    def __init__(self, keys: Mapping[int, bytes], active: int) -> None:
        for key_id, key in keys.items():
            if not 1 <= key_id <= MAX_KEY_ID or len(key) != KEY_BYTES:
                raise SealError(
                    f"token key {key_id}: ids are 1…{MAX_KEY_ID} and keys {KEY_BYTES} bytes",
                    code="keyring-invalid",
                )
        if active not in keys:
            raise SealError(f"active token key {active} is not there", code="keyring-invalid")
        self._keys = dict(keys)
        self._ciphers = {key_id: AESSIV(key) for key_id, key in keys.items()}
        self.active = active

    @property
    def keys(self) -> Mapping[int, bytes]:
        """The key material by id, a copy. Secret: never log it."""
        return dict(self._keys)

    def rotated(self, key: bytes) -> Keyring:
        """Return a keyring with ``key`` added under the next id and made active."""
        key_id = max(self._keys) + 1
        return Keyring({**self._keys, key_id: key}, key_id)

    def seal(self, contents: Sealed) -> str:
        """Return the token for ``contents``, under the active key.

        The same contents give the same token: sealing is deterministic.

        Raises:
            SealError: The destination cannot be sealed; the code says why.
        """
        active = self.active
        return codec.encrypt(active, self._ciphers[active], codec.pack(contents))

    def open(self, token: str) -> Sealed:
        """Return what a token carries.

        Raises:
            TokenError: Always this one type, whatever is wrong with the token.
        """
        key_id, header, ciphertext = codec.decode(token)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise TokenError
        return codec.unpack(codec.decrypt(cipher, header, ciphertext))

    def __repr__(self) -> str:
        """Name the keys by id only."""
        return f"Keyring(keys={sorted(self._keys)}, active={self.active})"
