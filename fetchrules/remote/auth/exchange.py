"""One login by a SASL mechanism, the client's side, without I/O."""

from base64 import b64decode
from enum import IntEnum

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.auth.credentials import encoded
from fetchrules.remote.auth.ways import Way

CANCEL = "*"

CHALLENGE_MAX = 4096
"""Characters of a challenge in base64."""


class Refusal(IntEnum):
    """How much had been said when a login was refused. The more, the likelier it is that the password is wrong."""

    MECHANISM = 1
    """Nothing of the password, so this way alone is refused. With SCRAM the server may have no secret made for this hash."""
    NAME = 2
    """The user's name, and the next would have been the password."""
    PASSWORD = 3
    """The password, or a proof of it. It is a failed login to the server, which may count them."""


class Exchange:
    """`initial` is what the client says first, if it does. This one class is a mechanism that says nothing more."""

    def __init__(self, way: Way, initial: bytes | None = None) -> None:
        self.refusal = Refusal.MECHANISM
        self._way = way
        self._initial = initial

    def opening(self, longest: int = 0) -> str:
        """The command's argument: the mechanism, with the initial response if it has one and `longest` characters hold both."""
        if self._initial is None:
            return self._way
        both = f"{self._way} {encoded(self._initial) or '='}"
        if len(both) > longest:
            return self._way
        self._take_initial(self._initial)
        return both

    def answer(self, challenge: str) -> str:
        """Raises RemoteProtocolError for a challenge that makes no sense, ServerUnproven for a false proof."""
        if len(challenge) > CHALLENGE_MAX:
            raise RemoteProtocolError(f"a challenge of more than {CHALLENGE_MAX} characters")
        if self._initial is not None:  # whatever the challenge says: it should be empty
            return encoded(self._take_initial(self._initial))
        return encoded(self._respond(challenge))

    def finish(self) -> None:
        """The server accepts the login. Raises ServerUnproven if it should have proven that it knows the password."""

    def _take_initial(self, initial: bytes) -> bytes:
        self._initial = None
        self._said_initial()
        return initial

    def _said_initial(self) -> None:
        self.refusal = Refusal.PASSWORD

    def _respond(self, challenge: str) -> bytes:  # noqa: ARG002
        raise RemoteProtocolError(f"{self._way} asks once more")


def decoded(challenge: str) -> bytes:
    """The octets of a challenge. Raises RemoteProtocolError."""
    try:
        return b64decode(challenge.strip(), validate=True)
    except ValueError as error:
        raise RemoteProtocolError("a challenge that is not in base64") from error
