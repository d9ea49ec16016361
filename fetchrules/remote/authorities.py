"""The trusted authorities, read again when their file has changed: a worker runs for months, and an update needs no restart.

Without a `cafile` they are the system's (OpenSSL heeds SSL_CERT_FILE and SSL_CERT_DIR).
"""

import ssl
from functools import cache, lru_cache
from pathlib import Path


def verifying(cafile: str = "") -> ssl.SSLContext:
    """A context that checks chain and host, shared by all connections: loading one takes ten times as long as a whole poll."""
    return _loaded(cafile, _file_state(cafile))


@cache
def unverified() -> ssl.SSLContext:
    """A context that takes any certificate, shared by all connections."""
    context = _modern()
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
def _loaded(cafile: str, _state: tuple[int, int, int] | None) -> ssl.SSLContext:
    context = _modern()
    context.load_verify_locations(cafile) if cafile else context.load_default_certs()
    return context


def _modern() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
