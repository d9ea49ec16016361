"""Headers that are fetched alone, to tell letters by them."""

from collections.abc import Iterable, Iterator

from fetchrules.delivery.fingerprint import head_print
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, RemoteMailbox


def heads(mailbox: RemoteMailbox, letters: Iterable[Listed], progress: Progress) -> Iterator[tuple[Listed, str]]:
    """Each of `letters` with the fingerprint of its header; empty where the server does not give it alone."""
    for letter, octets in mailbox.heads(letters):
        progress.received(len(octets or b""))
        yield letter, "" if octets is None else head_print(octets)
