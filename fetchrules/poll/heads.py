"""Headers that are fetched alone, to tell letters by them."""

from collections.abc import Iterable, Iterator

from django.utils import timezone

from fetchrules.delivery.fingerprint import head_print
from fetchrules.errors import FetchError, RunOvertaken
from fetchrules.ledger import mailboxes
from fetchrules.models import SourceMailbox
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, RemoteMailbox


def heads(
    mailbox: RemoteMailbox, source: SourceMailbox, letters: Iterable[Listed], progress: Progress
) -> Iterator[tuple[Listed, str]]:
    """Each of `letters` with the fingerprint of its header; empty where the server does not give it alone.

    If the session breaks, or the server gives no more for now, the next polls do without headers for a day, as with a server that
    knows no TOP: one letter whose header cannot be had must not keep back the others.
    """
    if not mailboxes.gives_heads(source, timezone.now()):
        yield from ((letter, "") for letter in letters)
        return
    try:
        for letter, octets in mailbox.heads(letters):
            progress.received(len(octets or b""))
            yield letter, "" if octets is None else head_print(octets)
    except RunOvertaken:
        raise
    except FetchError:
        mailboxes.heads_broke(source, timezone.now())
        raise
