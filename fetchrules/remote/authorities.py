"""The trusted authorities, read again when their file has changed: a worker runs for months, and an update needs no restart.

Without a `cafile` they are the system's (OpenSSL heeds SSL_CERT_FILE and SSL_CERT_DIR).
"""

import ssl
from functools import cache, lru_cache
from pathlib import Path

WEAK = "ECDHE+AES:DHE+AES:RSA+AES:!aNULL:!eNULL:@SECLEVEL=1"
"""What servers of 2010 have: no forward secrecy, or keys and signatures that are too short. TLS 1.2 stays the floor."""

_OP_LEGACY_SERVER_CONNECT = 0x4
"""A server that does not know secure renegotiation (RFC 5746); Python names it from 3.12 on."""


def verifying(cafile: str = "", *, weak: bool = False) -> ssl.SSLContext:
    """A context that checks chain and host, shared by all connections: loading one takes ten times as long as a whole poll.

    `weak`: it takes what old servers have, see WEAK.
    """
    return _loaded(cafile, _file_state(cafile), weak)


@cache
def unverified(*, weak: bool = False) -> ssl.SSLContext:
    """A context that takes any certificate, shared by all connections."""
    context = _context(weak=weak)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _file_state(cafile: str) -> tuple[int, int, int] | None:
    """None where there is no file. OpenSSL reads a directory of authorities at each handshake anyway."""
    path = cafile or ssl.get_default_verify_paths().cafile
    if not path:
        return None
    try:
        told = Path(path).stat()
    except OSError:
        return None
    return told.st_size, told.st_ino, told.st_mtime_ns


@lru_cache(maxsize=16)
def _loaded(cafile: str, _state: tuple[int, int, int] | None, weak: bool) -> ssl.SSLContext:
    context = _context(weak=weak)
    context.load_verify_locations(cafile) if cafile else context.load_default_certs()
    return context


def _context(*, weak: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if weak:
        context.set_ciphers(WEAK)
        context.options |= _OP_LEGACY_SERVER_CONNECT
    return context
