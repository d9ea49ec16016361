"""Delivery by handing letters to a mail server. They wait in a spool directory; `commit` sends them.

It cannot be exactly once: the reply to a letter's end may be lost. What bounds it: a file leaves the spool when the
server has taken the letter, so only a letter whose reply was lost, or whose file outlived a crash just then, is sent
again, and with the same octets and the same X-Collected-Id.
"""

import re
import smtplib
import socket
from collections.abc import Collection, Sequence
from typing import BinaryIO, assert_never

from fetchrules.delivery.dialogue import Dialogue, Unanswered, Unreachable
from fetchrules.delivery.disk import translated
from fetchrules.delivery.lmtp import connect_lmtp
from fetchrules.delivery.local import Draft, Staged
from fetchrules.delivery.mailserver import Handover, MailServer
from fetchrules.delivery.outgoing import on_the_wire, read_outgoing
from fetchrules.delivery.smtp import connect_smtp
from fetchrules.delivery.staged_name import StagedName
from fetchrules.delivery.staging import RESERVE, Staging
from fetchrules.delivery.target import Place, Recipient
from fetchrules.errors import DeliveryFailed, DeliveryRefused

_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}")


class SpooledMailbox:
    """The mailbox `recipient` (the address as given) on `server`. One poll's object, not for several threads.

    `place` is a directory of this mailbox alone, `marker` the id by which it is known, as for a Maildir. The session is
    opened at the first need and serves until `close`.
    """

    exactly_once = False

    def __init__(
        self,
        server: MailServer,
        recipient: str,
        place: Place,
        marker: str | None = None,
        *,
        reserve: int = RESERVE,
        host: str = "",
    ) -> None:
        """Touches nothing yet. Raises RecipientInvalid. `host`, this machine's name if empty, is how we introduce ourselves."""
        Recipient.parse(recipient)
        self._recipient = recipient
        self._server = server
        name = host or socket.gethostname()
        self._host = name if _HOST.fullmatch(name) else "localhost"
        self._staging = Staging(place, marker, host=self._host, reserve=reserve)
        self._dialogue: Dialogue | None = None
        self._known = False

    @property
    def marker(self) -> str | None:
        """The id of the spool directory, as far as it is known."""
        return self._staging.marker

    def prepare(self, octets: int) -> None:
        """Open the spool, look for room, and ask the server, once, whether it has the recipient's mailbox.

        Raises DeliveryRefused if it has none, MaildirReplaced for the spool, DiskFull, DeliveryFailed.
        """
        self._staging.open()
        self._staging.check_room(octets)
        if not self._known:
            self._connected().ask()
            self._known = True

    def stage(self, key: str) -> Draft:
        """Begin a letter. Raises DeliveryFailed."""
        return self._staging.begin(key)

    def sync(self, staged: Sequence[Staged]) -> None:
        """Make staged letters durable. Raises DeliveryFailed; the letters are then gone."""
        self._staging.sync([letter.name for letter in staged])

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Send staged letters, in this order; the ones that were certainly not taken, with the reason.

        A name that is gone was delivered before. Raises MaildirReplaced if the spool is not the known one, and
        Unanswered when it is not known whether a letter was taken: nothing may then be concluded of any letter.
        Committing again finds out, and sends that one a second time.
        """
        self._staging.verify()
        if self._dialogue is not None and not self._dialogue.is_alive():
            self._hang_up()
        failures: dict[str, DeliveryFailed] = {}
        for position, name in enumerate(names):
            try:
                self._send(name)
            except Unanswered:
                raise
            except Unreachable as error:
                failures.update((waiting, error) for waiting in names[position:] if self._staging.holds(waiting))
                break
            except DeliveryFailed as error:
                failures[name] = error
        self._staging.verify()
        return failures

    def discard(self, names: Sequence[str]) -> None:
        """Remove staged letters that will not be delivered. Never raises."""
        self._staging.remove(names)

    def sweep(self, spared: Collection[str]) -> int:
        """Remove staged letters older than 24 hours that are not in `spared`; how many. Raises DeliveryFailed."""
        return self._staging.sweep(spared)

    def close(self) -> None:
        """End the session and let go of the spool; may be called twice."""
        self._hang_up()
        self._staging.close()

    def _send(self, name: str) -> None:
        letter = self._staging.read(name)
        if letter is None:
            return
        with letter:
            self._hand_over(name, letter)
        self._staging.remove([name])

    def _hand_over(self, name: str, file: BinaryIO) -> None:
        with translated(name):
            letter = read_outgoing(file, StagedName.parse(name), self._recipient, self._host)
        if letter.loop:
            raise DeliveryRefused(letter.loop)
        self._connected().hand_over(letter, on_the_wire(letter.trace, file))

    def _connected(self) -> Dialogue:
        """The session, a new one if need be. Raises Unreachable."""
        if self._dialogue is None or not self._dialogue.is_open:
            self._dialogue = Dialogue(self._connect(), self._recipient)
        return self._dialogue

    def _connect(self) -> smtplib.SMTP:
        match self._server.handover:
            case Handover.LMTP:
                return connect_lmtp(self._server, self._host)
            case Handover.SMTP:
                return connect_smtp(self._server, self._host)
            case never:
                assert_never(never)

    def _hang_up(self) -> None:
        if self._dialogue is not None:
            self._dialogue.close()
            self._dialogue = None
