"""SCRAM (RFC 5802, RFC 7677) without channel binding: both sides prove that they know the password, and neither shows it.

    C: n,,n=user,r=OURS
    S: r=OURS+THEIRS,s=SALT,i=ITERATIONS
    C: c=biws,r=OURS+THEIRS,p=PROOF
    S: v=SIGNATURE

POP3 and IMAP send the last line as a challenge, which an empty line answers.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import new as new_hash
from hashlib import pbkdf2_hmac
from hmac import compare_digest
from hmac import digest as hmac
from secrets import token_urlsafe
from threading import Lock

from fetchrules.errors import RemoteProtocolError, ServerUnproven
from fetchrules.remote.auth.credentials import Password, checked, encoded, saslprep
from fetchrules.remote.auth.exchange import Exchange, Refusal, decoded
from fetchrules.remote.auth.ways import Way
from fetchrules.remote.recent import keep

ITERATIONS_MAX = 1_000_000
"""RFC 7677 asks for 4096 at least. Fewer are accepted: the next way would be worse. More would be half a second of CPU a login."""

_HASHES = {Way.SCRAM_SHA_256: "sha256", Way.SCRAM_SHA_1: "sha1"}
_NO_CHANNEL_BINDING = b"n,,"

# RFC 5802 section 7. A first attribute m= is an extension that we would have to understand, so it makes no sense to us.
_SERVER_FIRST = re.compile(
    rb"r=([\x21-\x2b\x2d-\x7e]{1,1024}),s=([A-Za-z0-9+/]{1,1024}={0,2}),i=([1-9][0-9]{0,6})(?:,.*)?"
)
_SERVER_FINAL = re.compile(rb"v=([A-Za-z0-9+/]{1,128}={0,2})(?:,.*)?")
_SERVER_ERROR = re.compile(rb"e=.*")


@dataclass(frozen=True, slots=True)
class Keys:
    client: bytes
    server: bytes


@dataclass(frozen=True, slots=True)
class _Derivation:
    """What keys are derived from. The password is there by its mark, which is no secret."""

    hash: str
    password: bytes
    salt: bytes
    iterations: int


class SaltedKeys:
    """The `limit` keys used last, so that only the first poll of an account takes PBKDF2's time. Shared by all threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[_Derivation, Keys] = OrderedDict()
        self._lock = Lock()

    def keys(self, name: str, password: Password, salt: bytes, iterations: int) -> Keys:
        """By the hash of this name. Another password, salt or count has other keys."""
        derivation = _Derivation(name, password.mark, salt, iterations)
        with self._lock:
            keys = self._known.get(derivation)
        if keys is None:
            salted = pbkdf2_hmac(name, password.prepared, salt, iterations)
            keys = Keys(hmac(salted, b"Client Key", name), hmac(salted, b"Server Key", name))
        with self._lock:
            keep(self._known, derivation, keys, self._limit)
        return keys


class Scram(Exchange):
    def __init__(self, way: Way, user: str, password: Password, keys: SaltedKeys, nonce: str = "") -> None:
        self._nonce = nonce or token_urlsafe(18)
        name = saslprep(checked(user)).replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}".encode()
        super().__init__(way, _NO_CHANNEL_BINDING + self._bare)
        self._password, self._keys = password, keys
        self._hash = _HASHES[way]
        self._signature = b""
        self._proven = False
        self._ended = False

    def finish(self) -> None:
        if not self._proven:
            raise ServerUnproven("the server accepted the login without its proof")

    def _said_initial(self) -> None:
        """The name alone: a server that has no secret for this hash refuses already here."""

    def _respond(self, challenge: str) -> bytes:
        message = decoded(challenge)
        if not self._signature:
            return self._prove(message)
        if self._ended:
            return super()._respond(challenge)
        self._ended = True
        return self._verify(message)

    def _prove(self, server_first: bytes) -> bytes:
        found = _SERVER_FIRST.fullmatch(server_first)
        if found is None:
            raise RemoteProtocolError("not the server's first message of SCRAM")
        nonce, salt, iterations = found[1], decoded(found[2].decode()), int(found[3])
        if not nonce.startswith(self._nonce.encode()) or len(nonce) == len(self._nonce):
            raise RemoteProtocolError("the server's nonce does not go on from ours")
        if iterations > ITERATIONS_MAX:
            raise RemoteProtocolError(f"more than {ITERATIONS_MAX} iterations")
        keys = self._keys.keys(self._hash, self._password, salt, iterations)
        unproven = b"c=" + encoded(_NO_CHANNEL_BINDING).encode() + b",r=" + nonce
        both = b",".join((self._bare, server_first, unproven))
        self._signature = hmac(keys.server, both, self._hash)
        self.refusal = Refusal.PASSWORD
        return unproven + b",p=" + encoded(_proof(keys.client, both, self._hash)).encode()

    def _verify(self, server_final: bytes) -> bytes:
        if _SERVER_ERROR.fullmatch(server_final):  # the refusal comes behind the empty line
            return b""
        found = _SERVER_FINAL.fullmatch(server_final)
        if found is None or not compare_digest(found[1], encoded(self._signature).encode()):
            raise ServerUnproven("the server's proof is false")
        self._proven = True
        return b""


def _proof(client_key: bytes, both: bytes, name: str) -> bytes:
    """ClientKey XOR HMAC(H(ClientKey), AuthMessage)."""
    signature = hmac(new_hash(name, client_key).digest(), both, name)
    return bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
