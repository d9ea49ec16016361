"""Delivery by handing letters to a mail server. They wait in a spool directory; `commit` sends them.

This cannot be exactly once, since the reply to the end of a letter may be lost. A file leaves the spool as soon as the server has
taken the letter, so a letter is sent again only if its reply was lost or a crash came just then; it is sent with the same octets
and the same X-Collected-Id.
"""

import math
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from fetchrules.delivery.courier import Courier
from fetchrules.delivery.mailserver import MailServer
from fetchrules.delivery.recipients import Recipient, RootedPath
from fetchrules.delivery.staging import RESERVE, Staging
from fetchrules.errors import DeliveryFailed

MAX_SESSIONS = 4
LETTERS_A_SESSION = 16
"""For every so many letters another session is opened: the server's fsync takes longest (measured with Dovecot: four sessions
into one mailbox are 3 to 5 times as fast as one)."""

_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}")


class SpooledMailbox:
    """The mailbox `recipient` (the address as given) on `server`. One poll's object, not for several threads.

    `place` is a directory of this mailbox alone, `marker` the id by which it is known, as for a Maildir. Sessions are opened
    when they are needed, and kept until `close`.
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
        """Touches nothing yet. Raises RecipientInvalid. `host`, this machine's name if empty, is how we introduce ourselves.

        `end`: after which time, by the monotonic clock, no letter is sent any more.
        """
        Recipient.parse(recipient)
        name = host or socket.gethostname()
        own_name = name if _HOST.fullmatch(name) else "localhost"
        self.staging = Staging(place, marker, host=own_name, reserve=reserve)
        self._couriers = [Courier(self.staging, server, recipient, own_name, end) for _ in range(MAX_SESSIONS)]
        self._known = False

    def prepare(self, octets: int) -> None:
        """Open the spool, look for room, and ask the server, once, whether it has the recipient's mailbox.

        Raises RecipientUnknown if it has none, MaildirReplaced for the spool, DiskFull, DeliveryFailed.
        """
        self.staging.open()
        self.staging.check_room(octets)
        if not self._known:
            self._couriers[0].ask()
            self._known = True

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Send staged letters; the ones that are not known to be taken, with the reason.

        Unanswered: the server may have taken it; committing again sends it a second time. UnderWay: another session is
        sending it. With any other reason it was not taken. A name that is gone was delivered before. Raises MaildirReplaced
        if the spool is not the known one: nothing may then be concluded of any letter.
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
        """Those that still wait: a letter that the server has certainly taken is gone. Raises DeliveryFailed."""
        return [name for name in names if self.staging.holds(name)]

    def close(self) -> None:
        for courier in self._couriers:
            courier.hang_up()
        self.staging.close()
