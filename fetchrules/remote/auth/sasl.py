"""SASL for POP3 and IMAP: which exchange a way is. Lines go in and out as they stand on the wire, in base64.

POP3 (RFC 5034) and IMAP (RFC 9051) use an exchange alike:

    exchange = begin(way, user, password, keys)
    AUTH or AUTHENTICATE, with exchange.opening() as the argument; opening(LONGEST) where the server is known to understand an
        initial response (IMAP: SASL-IR, RFC 4959; POP3: RFC 5034)
    for each line "+ CHALLENGE" of the server, send exchange.answer(CHALLENGE) as a line of its own, which may be empty
    for success: exchange.finish(), without which nothing is proven
    for a refusal: exchange.refusal says what it may mean
    where `answer` raises RemoteProtocolError: send CANCEL; the server refuses, and another way may be tried
"""

import re
from hashlib import md5
from hmac import new as hmac

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.auth.credentials import Password, checked, plain
from fetchrules.remote.auth.exchange import Exchange, Refusal, decoded
from fetchrules.remote.auth.scram import SaltedKeys, Scram
from fetchrules.remote.auth.ways import Way


def begin(way: Way, user: str, password: Password, keys: SaltedKeys) -> Exchange:
    """An exchange for one of the ways in SASL. Raises LocalProtocolError for CR, LF or NUL in the user's name."""
    match way:
        case Way.SCRAM_SHA_256 | Way.SCRAM_SHA_1:
            return Scram(way, user, password, keys)
        case Way.PLAIN:
            return Exchange(way, plain(user, password))
        case Way.LOGIN:
            return Login(user, password)
        case Way.CRAM_MD5:
            return CramMd5(user, password)
        case _:
            raise LocalProtocolError(f"{way} is no mechanism of SASL")


class Login(Exchange):
    """LOGIN has no specification: servers ask twice, in various words, and mean the user and then the password."""

    def __init__(self, user: str, password: Password) -> None:
        super().__init__(Way.LOGIN)
        self._answers = [password.secret.encode(), checked(user).encode()]

    def _respond(self, challenge: str) -> bytes:
        if not self._answers:
            return super()._respond(challenge)
        self.refusal = Refusal(self.refusal + 1)
        return self._answers.pop()


class CramMd5(Exchange):
    """RFC 2195: user, blank, and the challenge's HMAC-MD5 under the password, in hex."""

    def __init__(self, user: str, password: Password) -> None:
        super().__init__(Way.CRAM_MD5)
        self._user, self._password = checked(user), password

    def _respond(self, challenge: str) -> bytes:
        octets = decoded(challenge)
        if self.refusal is Refusal.PASSWORD or not _CHALLENGE.fullmatch(octets):
            raise RemoteProtocolError("not a challenge of CRAM-MD5")
        self.refusal = Refusal.PASSWORD
        proof = hmac(self._password.secret.encode(), octets, md5).hexdigest()
        return f"{self._user} {proof}".encode()


# RFC 2195 section 2: "The syntax of the unencoded form must correspond to that of an RFC 822 'msg-id'". Servers do without its "@".
_CHALLENGE = re.compile(rb"<[\x21-\x7e]{1,500}>")
