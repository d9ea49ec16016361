"""The authorities whose signatures count on certificates, read anew where their file has changed.

No `cafile`: the system's (OpenSSL heeds SSL_CERT_FILE and SSL_CERT_DIR). A worker runs for months; a file that was empty for a
minute, or was replaced by an update, must not need a restart.
"""

import ssl
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    octets: int
    inode: int
    changed_at: int


def verifying(cafile: str = "") -> ssl.SSLContext:
    """A context that checks chain and host: one for all connections, since loading takes ten times as long as a whole poll."""
    return _loaded(cafile, _file(cafile))


@cache
def unverified() -> ssl.SSLContext:
    """A context that takes any certificate: one for all connections."""
    context = _modern()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _file(cafile: str) -> _File | None:
    """None where there is none. What lies in a directory of authorities OpenSSL looks up for each handshake."""
    path = cafile or ssl.get_default_verify_paths().cafile
    if not path:
        return None
    try:
        told = Path(path).stat()
    except OSError:
        return None
    return _File(path, told.st_size, told.st_ino, told.st_mtime_ns)


@lru_cache(maxsize=16)
def _loaded(cafile: str, _as_it_is: _File | None) -> ssl.SSLContext:
    context = _modern()
    context.load_verify_locations(cafile) if cafile else context.load_default_certs()
    return context


def _modern() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
