"""Delivery by handing letters to a mail server. They wait in a spool directory; `commit` sends them.

This cannot be exactly once, since the reply to the end of a letter may be lost. A file leaves the spool as soon as the server has
taken the letter, so a letter is sent again only if its reply was lost or a crash came just then; it is sent with the same octets
and the same X-Collected-Id.
"""

import fcntl
import math
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import FileIO
from time import monotonic
from typing import BinaryIO

from fetchrules.delivery.dialogue import Deferred, Dialogue, MailServer, Unanswered, Unreachable, connect
from fetchrules.delivery.disk import translated
from fetchrules.delivery.outgoing import Outgoing, on_the_wire, read_outgoing
from fetchrules.delivery.recipients import Recipient, RootedPath
from fetchrules.delivery.staging import RESERVE, StagedName, Staging
from fetchrules.errors import DeliveryFailed, DeliveryRefused

MAX_ENDED = 2
"""After so many letters in a row that each ended a session, the others wait: the server is at fault."""


class UnderWay(DeliveryFailed):
    """Another session is sending this letter, so its fate is unknown."""


@dataclass(slots=True)
class Courier:
    """Sends letters of `staging` for `recipient`, in one thread; several couriers may share a spool.

    No letter is begun after `end` (monotonic clock), since a letter without a reply would be sent again.
    """

    staging: Staging
    server: MailServer
    recipient: str
    own_name: str
    end: Callable[[], float]
    _dialogue: Dialogue | None = field(default=None, init=False)

    def ask(self) -> None:
        """Raises RecipientUnknown if the server has no mailbox of the recipient, DeliveryFailed."""
        self._connected().ask()

    def carry(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Send these letters, one after the other; the letters that are not known to be taken, with the reason.

        Letters that are taken leave the spool; a letter that is missing there was taken before. A letter that ends the session
        is followed by a new session, and after MAX_ENDED of them in a row the others wait.
        """
        failures: dict[str, DeliveryFailed] = {}
        taken: list[str] = []
        until, ended = monotonic() + self.server.patience.carry, 0
        if self._dialogue is not None and not self._dialogue.is_alive():
            self.hang_up()
        try:
            for position, name in enumerate(names):
                if monotonic() > min(until, self.end()):
                    return failures | self._waiting(names[position:], DeliveryFailed(f"{self.server} is too slow"))
                try:
                    if retired := self._hand_over(name):
                        taken.append(retired)
                        ended = 0
                except Unreachable as error:
                    return failures | self._waiting(names[position:], error)
                except DeliveryFailed as error:
                    failures[name] = error
                    ends = isinstance(error, Unanswered | Deferred) and not self._is_connected
                    ended = ended + 1 if ends else 0
                    if ended == MAX_ENDED:
                        return failures | self._waiting(names[position + 1 :], DeliveryFailed(error.detail))
        finally:
            self.staging.remove(taken)
        return failures

    def hang_up(self) -> None:
        """End the session, if there is one. Never raises."""
        if self._dialogue is not None:
            self._dialogue.close()
            self._dialogue = None

    def _waiting(self, names: Sequence[str], error: DeliveryFailed) -> dict[str, DeliveryFailed]:
        return {name: error for name in names if self.staging.holds(name)}

    def _hand_over(self, name: str) -> str | None:
        """The name under which the taken letter is to be removed; None if it is gone."""
        file = self.staging.read(name)
        if file is None:
            return None
        with file:
            with translated(name):
                _lock(file)
            if not self.staging.holds(name):
                return None
            with translated(name):
                letter = read_outgoing(file, StagedName.parse(name), self.recipient, self.own_name)
            if letter.loop:
                raise DeliveryRefused(letter.loop)
            self._send(letter, file)
            return self.staging.retire(name)

    def _send(self, letter: Outgoing, file: BinaryIO) -> None:
        """A session that has lasted may end at any letter (421, a restart); the letter then goes in a new one."""
        lasted = self._is_connected
        dialogue = self._connected()
        try:
            dialogue.hand_over(letter, on_the_wire(letter.trace, file))
        except Unanswered:
            raise
        except DeliveryFailed:
            if not lasted or dialogue.is_open:
                raise
            file.seek(0)
            self._connected().hand_over(letter, on_the_wire(letter.trace, file))

    @property
    def _is_connected(self) -> bool:
        return self._dialogue is not None and self._dialogue.is_open

    def _connected(self) -> Dialogue:
        if self._dialogue is None or not self._dialogue.is_open:
            self._dialogue = Dialogue(connect(self.server, self.own_name), self.recipient, self.server.patience)
        return self._dialogue


def _lock(file: FileIO) -> None:
    """Keep others from sending this letter until it is closed: a poll thought dead may be alive. Raises UnderWay, OSError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UnderWay("another session is sending this letter") from error


MAX_SESSIONS = 4
LETTERS_A_SESSION = 16
"""Measured with Dovecot, whose fsync takes longest: four sessions into one mailbox are 3 to 5 times as fast as one."""

_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}")


class SpooledMailbox:
    """The mailbox `recipient` (the address as given) on `server`, for one poll and one thread.

    `place` is a directory of this mailbox alone, `marker` the id by which it is known, as for a Maildir.
    """

    exactly_once = False

    def __init__(
        self,
        server: MailServer,
        recipient: str,
        place: RootedPath,
        marker: str | None = None,
        *,
        reserve: int = RESERVE,
        host: str = "",
        end: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """Touches nothing yet. No letter is sent after `end` (monotonic clock). `host` is this machine's name if empty.

        Raises RecipientInvalid.
        """
        Recipient.parse(recipient)
        name = host or socket.gethostname()
        own_name = name if _HOST.fullmatch(name) else "localhost"
        self.staging = Staging(place, marker, host=own_name, reserve=reserve)
        self._couriers = [Courier(self.staging, server, recipient, own_name, end) for _ in range(MAX_SESSIONS)]
        self._known = False

    def prepare(self, octets: int) -> None:
        """Open the spool, check its room for `octets`, and ask the server once for the recipient's mailbox.

        Raises RecipientUnknown, MaildirReplaced for the spool, DiskFull, DeliveryFailed.
        """
        self.staging.open()
        self.staging.check_room(octets)
        if not self._known:
            self._couriers[0].ask()
            self._known = True

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Send staged letters; the letters that are not known to be taken, with the reason.

        Unanswered: the server may have taken it, and committing again may deliver it twice. UnderWay: another session sends it.
        With any other reason it was not taken. Raises MaildirReplaced if the spool is not the known one.
        """
        self.staging.verify()
        sessions = min(MAX_SESSIONS, 1 + len(names) // LETTERS_A_SESSION)
        portions = [names[start::sessions] for start in range(sessions)]
        with ThreadPoolExecutor(sessions) as pool:
            outcomes = [
                pool.submit(courier.carry, mine) for courier, mine in zip(self._couriers, portions, strict=False)
            ]
        failures = {name: error for outcome in outcomes for name, error in outcome.result().items()}
        self.staging.verify()
        return failures

    def in_doubt(self, names: Sequence[str]) -> Sequence[str]:
        """The letters that still wait, and that a repeated `commit` may deliver twice. Raises DeliveryFailed."""
        return [name for name in names if self.staging.holds(name)]

    def close(self) -> None:
        for courier in self._couriers:
            courier.hang_up()
        self.staging.close()
