"""What OpenSSL can do and Python's ssl does not offer: ticket keys, sessions, groups, asking.

A context makes its ticket keys at random, so a client that comes back to another worker
would make a full handshake; here they are made from a secret that all workers have. The
context's address is in the object, which is how aiofastnet finds it too. Where that cannot
be made sure of, a context stays as Python made it: slower, never wrong.

RFC 5077 §5.5 (rotate the keys), RFC 8446 §8 (what a stolen ticket key gives away).
"""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Sequence
from functools import cache
from typing import Final

from aiofastnet import OPENSSL_DYN_LIBS
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

TICKET_KEY_BYTES: Final = 80
"""OpenSSL's: a name, an HMAC key and an AES key."""
MAX_CLIENT_CHAIN: Final = 16_384
"""Bytes of certificates that a client may show: they take thirteen times as many of memory, for
as long as it stays connected. OpenSSL's own limit is 100 KiB."""
_SET_SESSION_CACHE = 44
_SET_MAX_CERT_LIST = 51
_SET_TICKET_KEYS = 59
_SET_GROUPS = 92
_VERIFY_PEER = 1
# Mozilla's "intermediate"; the first is only in OpenSSL 3.5 and later.
_GROUPS = (b"X25519MLKEM768:X25519:prime256v1:secp384r1", b"X25519:prime256v1:secp384r1")
# RFC 8422 §5.1.1: TLS 1.2 takes certificates with keys on agreed curves only, of clients too.
_GROUPS_ASKING = tuple(each + b":secp521r1" for each in _GROUPS)
_HEAD_BYTES = object.__basicsize__
"""Of a Python object; in an ``SSLContext`` the pointer to OpenSSL's follows it."""
_Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class AskingContext(ssl.SSLContext):
    """A context whose handshakes ask the client for a certificate, see :func:`ask_clients`."""

    verify_mode = ssl.CERT_NONE
    """What Python is told: it would read, in each handshake, what it thinks it verifies."""


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
    if library is not None:
        _set_groups(library, context, _GROUPS)


def ask_clients(context: AskingContext, authorities: Sequence[bytes]) -> bool:
    """Have a context ask clients for a certificate, and take any, or none: OpenSSL judges none.

    One whose chain is longer than :data:`MAX_CLIENT_CHAIN` is the exception: it is not read.
    That who shows one has its key too is still seen to, by TLS itself. A session would bring
    back what was shown without its chain, and be of what may have been replaced since: let
    there be none (:func:`forbid_resumption`).

    Args:
        context: A server's.
        authorities: DER; the client is told their names (RFC 8446 §4.2.4), so that a browser
            that comes here shows its user no choice of certificates of others.

    Returns:
        Whether it asks.
    """
    library, address = _library(), _address(context)
    if library is None:
        return False
    for der in authorities:
        certificate = library.d2i_X509(None, ctypes.byref(ctypes.c_char_p(der)), len(der))
        if not certificate:
            return False
        library.SSL_CTX_add_client_CA(address, certificate)
        library.X509_free(certificate)
    _set_groups(library, context, _GROUPS_ASKING)
    library.SSL_CTX_ctrl(address, _SET_MAX_CERT_LIST, MAX_CLIENT_CHAIN, None)
    library.SSL_CTX_set_cert_verify_callback(address, _TAKE_ANY, None)
    library.SSL_CTX_set_verify(address, _VERIFY_PEER, None)
    return True


# Held for as long as there are contexts.
_TAKE_ANY = _Verify(lambda _chain, _argument: 1)


def _set_groups(library: ctypes.CDLL, context: ssl.SSLContext, lists: Sequence[bytes]) -> None:
    """Set the first of some lists that this OpenSSL has every group of."""
    for groups in lists:
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
    # libssl's handle finds what is in libcrypto, too.
    library.d2i_X509.argtypes = (pointer, pointer, ctypes.c_long)
    library.d2i_X509.restype = pointer
    library.X509_free.argtypes = (pointer,)
    library.X509_free.restype = None
    library.SSL_CTX_add_client_CA.argtypes = (pointer, pointer)
    library.SSL_CTX_set_verify.argtypes = (pointer, ctypes.c_int, pointer)
    library.SSL_CTX_set_verify.restype = None
    library.SSL_CTX_set_cert_verify_callback.argtypes = (pointer, _Verify, pointer)
    library.SSL_CTX_set_cert_verify_callback.restype = None
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found = library.SSL_CTX_get_ssl_method(_address(probe)) == library.TLS_server_method()
    return library if found else None
