"""When unknown letters arrived, where those of before a day count as collected (ADR 14).

IMAP lists the times. POP3 does not, so the headers of unknown letters are asked for, `Limits.headers` in one session; the letters
without a time wait for the next session of the same poll (`Why.UNDATED`). A letter that names no time counts as new, and so does
one over whose header two sessions broke: rather twice than lost.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time

from django.utils import timezone

from fetchrules import errors
from fetchrules.delivery.fingerprint import head_print
from fetchrules.delivery.letterhead import arrival, read_trace
from fetchrules.ledger import hosts
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Filing
from fetchrules.ledger.settled import forget
from fetchrules.models import SourceMailbox
from fetchrules.policy.known import Knowledge
from fetchrules.policy.planning import ToFetch, Why
from fetchrules.poll.progress import Dated, Progress
from fetchrules.remote.mailbox import Listed, Listing, RemoteMailbox


def start_of(day: date | None) -> datetime | None:
    """The first moment of `day`, if there is one, in the time zone of the settings."""
    return None if day is None else datetime.combine(day, time.min, timezone.get_default_timezone())


def dated(
    mailbox: RemoteMailbox, source: SourceMailbox, listing: Listing, knowledge: Knowledge, progress: Progress
) -> Listing:
    """`listing` with the times of arrival that are known by now. Raises FetchError, DatesUnknown if no header comes."""
    if listing.epoch is not None:
        new = _time_of_new(source)
        return replace(listing, letters=tuple(replace(one, received=one.received or new) for one in listing.letters))
    known = progress.dated
    if listing.complete:
        elsewhere = knowledge.elsewhere.listed if knowledge.elsewhere else frozenset()
        unknown = [one for one in listing.letters if one.has_name and one.uid not in knowledge.rows]
        undated = [one for one in unknown if (source.pk, one.uid) not in known and one.uid not in elsewhere]
        _date(mailbox, source, sorted(undated, key=lambda one: one.uid == source.ask_last), progress)
    letters = (
        replace(one, received=known[source.pk, one.uid].received) if (source.pk, one.uid) in known else one
        for one in listing.letters
    )
    return replace(listing, letters=tuple(letters))


def _date(mailbox: RemoteMailbox, source: SourceMailbox, undated: Sequence[Listed], progress: Progress) -> None:
    """Ask for the headers of the first of these letters."""
    portion, new = undated[: progress.limits.headers], _time_of_new(source)
    left = len(undated)
    answered, refused = set[int](), set[str]()
    try:
        for letter, octets in mailbox.heads(portion):
            if octets is not None:
                progress.dated[source.pk, letter.uid] = Dated(_arrived(octets) or new, head_print(octets))
            elif mailbox.gives_heads:
                refused.add(letter.uid)
            else:
                continue  # it was not asked for, or everything is refused
            answered.add(letter.number)
            progress.left[Why.UNDATED] = left - len(answered)
            progress.received(len(octets or b""))
    except (errors.ConnectionLost, errors.TimedOut, errors.RemoteProtocolError) as error:
        suspect = next((one for one in portion if one.number not in answered), None)
        if suspect is not None:
            _blame(suspect, source, progress, error)
        raise
    # While the server is still worth asking, a refusal may be the fault of the only letter that is left.
    if portion and len(refused) == len(answered) and not (refused and mailbox.gives_heads):
        raise errors.DatesUnknown
    progress.dated |= {(source.pk, uid): Dated(new, "") for uid in refused}
    if left == len(answered):
        progress.left.pop(Why.UNDATED, None)


def _time_of_new(source: SourceMailbox) -> datetime:
    """A time that is not before the day, even if the clock was ahead when that was chosen."""
    now = timezone.now()
    return max(now, start_of(source.since) or now)


def _arrived(head: bytes) -> datetime | None:
    """When the letter arrived; None if its last server names a time to come: then the clocks differ, and the sender's says less."""
    lines, now = head.replace(b"\r", b""), timezone.now()
    traced = read_trace(lines)
    return None if traced is not None and traced > now else arrival(None, lines, now)


def _blame(letter: Listed, source: SourceMailbox, progress: Progress, error: errors.FetchError) -> None:
    """A letter over which a session breaks is asked for after all others; if that breaks too, it is held, and so counts as new."""
    if source.ask_last == letter.uid:
        wanted = ToFetch(letter, delete_after=False)
        forget(source)
        ledger.hold(Filing(progress.run, source, source.epoch), wanted, error, timezone.now())
        hosts.ask_last(source, "")
    else:
        hosts.ask_last(source, letter.uid)
