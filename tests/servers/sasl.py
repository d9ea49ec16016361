"""The server's side of SASL and APOP, for tests: each mechanism as its RFC says, with what a server may do wrong."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping

from fetchrules.demo.server import Bad, Refusal

_WRONG = "[AUTH] wrong user or password"

Ask = Callable[[bytes], bytes]
"""Sends a challenge and returns the response."""

GREETING_STAMP = "<1896.697170952@mailserver.ru>"
CHALLENGE = b"<1896.697170952@postoffice.mailserver.ru>"
SALT, ITERATIONS = b"0123456789abcdef", 4096


def apop_password(digest: str, password: str) -> bool:
    return digest == hashlib.md5((GREETING_STAMP + password).encode()).hexdigest()


def authenticate(mechanism: str, initial: bytes | None, ask: Ask, passwords: Mapping[str, str], *, proves: bool) -> str:
    """The user who has logged in. Raises Refusal. Not `proves`: a server that does not know the password, but says +OK."""

    def first() -> bytes:
        return ask(b"") if initial is None else initial

    match mechanism:
        case "PLAIN":
            user, password = first().decode().split("\0")[1:]
        case "LOGIN":
            user, password = ask(b"Username:").decode(), ask(b"Password:").decode()
        case "CRAM-MD5":
            user, _, proof = ask(CHALLENGE).decode().rpartition(" ")
            if proof != hmac.new(_known(passwords, user).encode(), CHALLENGE, "md5").hexdigest():
                raise Refusal(_WRONG)
            return user
        case "SCRAM-SHA-1" | "SCRAM-SHA-256":
            name = mechanism.removeprefix("SCRAM-").replace("-", "").lower()
            return _scram(name, first().decode(), ask, passwords, proves=proves)
        case _:
            raise Bad("unknown mechanism")
    if _known(passwords, user) != password:
        raise Refusal(_WRONG)
    return user


def _known(passwords: Mapping[str, str], user: str) -> str:
    if user not in passwords:
        raise Refusal(_WRONG)
    return passwords[user]


def _scram(name: str, client_first: str, ask: Ask, passwords: Mapping[str, str], *, proves: bool) -> str:
    bare = client_first.removeprefix("n,,")
    attributes = dict(part.split("=", 1) for part in bare.split(","))
    user = attributes["n"].replace("=2C", ",").replace("=3D", "=")
    server_first = f"r={attributes['r']}more,s={b64encode(SALT).decode()},i={ITERATIONS}"
    client_final = ask(server_first.encode()).decode()
    unproven, _, proof = client_final.rpartition(",p=")
    both = f"{bare},{server_first},{unproven}".encode()
    salted = hashlib.pbkdf2_hmac(name, _known(passwords, user).encode(), SALT, ITERATIONS)
    stored = hashlib.new(name, hmac.digest(salted, b"Client Key", name)).digest()
    key = bytes(a ^ b for a, b in zip(b64decode(proof), hmac.digest(stored, both, name), strict=True))
    if proves and hashlib.new(name, key).digest() != stored:
        raise Refusal(_WRONG)
    signature = hmac.digest(hmac.digest(salted, b"Server Key", name), both, name)
    if proves and ask(b"v=" + b64encode(signature)) != b"":
        raise Refusal("an empty line is due")
    return user
