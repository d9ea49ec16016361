"""The letters of a POP3 mailbox. Servers get each of STAT, UIDL and LIST wrong, so each is checked against the others."""

from collections.abc import Mapping

from fetchrules.errors import ServerRefused
from fetchrules.remote.mailbox import Listed, Listing
from fetchrules.remote.pop3.conversation import Pop3Conversation, is_limited
from fetchrules.remote.pop3.grammar import Capabilities, Status, drop_listing, scan_listings, unique_id_listings
from fetchrules.remote.pop3.protocol import Command, Reply, Verb

QUESTIONS = (Command(Verb.STAT), Command(Verb.UIDL), Command(Verb.LIST))


def listing(answers: Mapping[Verb, Reply], announced: Capabilities, conversation: Pop3Conversation) -> Listing:
    """What the answers to QUESTIONS say. Raises RemoteProtocolError, and ServerRefused and the like for a refused list."""
    stat, uidl, scan = (answers[question.verb] for question in QUESTIONS)
    if _lists_none(stat, uidl, scan):
        # Complete, so that present letters of an empty mailbox can count as collected. It proves no letter absent.
        return Listing(complete=True)
    if scan.line.status is not Status.OK:
        raise conversation.refused(scan.line, ServerRefused)
    if uidl.line.status is not Status.OK and (_has_a_reason(uidl) or announced.has("UIDL")):
        # The server has unique-ids but does not list them now. Without them every letter would look new.
        raise conversation.refused(uidl.line, ServerRefused)
    return _listing(stat, uidl, scan)


def _lists_none(stat: Reply, uidl: Reply, scan: Reply) -> bool:
    """Whether STAT says so and no list contradicts; some servers refuse to list an empty mailbox."""
    if stat.line.status is not Status.OK or drop_listing(stat.line.text) != 0:
        return False
    return not any(reply.body or _has_a_reason(reply) for reply in (uidl, scan))


def _has_a_reason(refused: Reply) -> bool:
    """Whether a list is refused for a passing reason, not because the server has no such list."""
    return bool(refused.line.code) or is_limited(refused.line)


def _listing(stat: Reply, uidl: Reply, scan: Reply) -> Listing:
    """The letters in both UIDL and LIST; complete if both have the same letters, as many as STAT counts.

    `scan`, the answer to LIST, is positive; a negative `uidl` means a server without unique-ids. Raises RemoteProtocolError.
    """
    sizes = scan_listings(scan.body)
    announced = drop_listing(stat.line.text) if stat.line.status is Status.OK else None
    has_uids = uidl.line.status is Status.OK
    uids = unique_id_listings(uidl.body) if has_uids else dict.fromkeys(sizes, "")
    # A letter that only one of the two has is left to the next listing.
    letters = tuple(Listed(number, uids[number], sizes[number]) for number in sorted(uids.keys() & sizes.keys()))
    return Listing(
        letters=letters,
        complete=announced == len(sizes) and uids.keys() == sizes.keys(),
        has_uids=has_uids,
        unlisted=max(announced or 0, len(uids.keys() | sizes.keys())) - len(letters),
    )
