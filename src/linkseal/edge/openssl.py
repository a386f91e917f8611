"""What OpenSSL can do and Python's ssl does not offer: ticket keys, sessions, groups.

A context makes its ticket keys at random, so a client that comes back to another worker
would make a full handshake; here they are made from a secret that all workers have. The
context's address is in the object, which is how aiofastnet finds it too. Where that cannot
be made sure of, a context stays as Python made it: slower, never wrong.

RFC 5077 §5.5 (rotate the keys), RFC 8446 §8 (what a stolen ticket key gives away).
"""

from __future__ import annotations

import ctypes
import ssl
from functools import cache
from typing import Final

from aiofastnet import OPENSSL_DYN_LIBS
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

TICKET_KEY_BYTES: Final = 80
"""OpenSSL's: a name, an HMAC key and an AES key."""
_SET_SESSION_CACHE = 44
_SET_TICKET_KEYS = 59
_SET_GROUPS = 92
# Mozilla's "intermediate"; the first is only in OpenSSL 3.5 and later.
_GROUPS = (b"X25519MLKEM768:X25519:prime256v1:secp384r1", b"X25519:prime256v1:secp384r1")
_HEAD_BYTES = object.__basicsize__
"""Of a Python object; in an ``SSLContext`` the pointer to OpenSSL's follows it."""


def share_tickets(context: ssl.SSLContext, secret: bytes, scope: str) -> bool:
    """Have a context seal its tickets under keys made from a secret that every worker has.

    Args:
        context: A server's.
        secret: 32 bytes; a new one makes all tickets given before useless.
        scope: Contexts of the same scope take each other's tickets.

    Returns:
        Whether it could be done.
    """
    library = _library()
    if library is None:
        return False
    keys = HKDFExpand(hashes.SHA256(), TICKET_KEY_BYTES, scope.encode()).derive(secret)
    return bool(library.SSL_CTX_ctrl(_address(context), _SET_TICKET_KEYS, len(keys), keys))


def forbid_resumption(context: ssl.SSLContext) -> None:
    """Have a context neither give tickets nor keep sessions."""
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    library = _library()
    if library is not None:
        library.SSL_CTX_ctrl(_address(context), _SET_SESSION_CACHE, 0, None)


def restrict_groups(context: ssl.SSLContext) -> None:
    """Have a context agree on keys in Mozilla's groups only: no finite fields, no odd curves."""
    library = _library()
    if library is None:
        return
    for groups in _GROUPS:
        if library.SSL_CTX_ctrl(_address(context), _SET_GROUPS, 0, groups):
            return


def _address(context: ssl.SSLContext) -> int | None:
    return ctypes.c_void_p.from_address(id(context) + _HEAD_BYTES).value


@cache
def _library() -> ctypes.CDLL | None:
    """Return OpenSSL if what is found at the address is a context of it."""
    if OPENSSL_DYN_LIBS is None:
        return None
    library = ctypes.CDLL(OPENSSL_DYN_LIBS.libssl)
    pointer = ctypes.c_void_p
    library.SSL_CTX_ctrl.argtypes = (pointer, ctypes.c_int, ctypes.c_long, pointer)
    library.SSL_CTX_ctrl.restype = ctypes.c_long
    library.SSL_CTX_get_ssl_method.argtypes = (pointer,)
    library.SSL_CTX_get_ssl_method.restype = pointer
    library.TLS_server_method.restype = pointer
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found = library.SSL_CTX_get_ssl_method(_address(probe)) == library.TLS_server_method()
    return library if found else None
