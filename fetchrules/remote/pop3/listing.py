"""STAT, UIDL and LIST, put side by side. Servers get each of them wrong, so each is checked against the others."""

from fetchrules.remote.mailbox import Listed, Listing
from fetchrules.remote.pop3.events import Reply
from fetchrules.remote.pop3.grammar import Status, drop_listing, scan_listings, unique_id_listings
from fetchrules.remote.pop3.refusals import is_limited


def tells_of_none(stat: Reply, uidl: Reply, scan: Reply) -> bool:
    """Whether STAT counts no letters and no list has any: some servers refuse to list an empty mailbox.

    A refusal with a response code, or of a server that says that it is busy, has another reason.
    """
    if stat.line.status is not Status.OK or drop_listing(stat.line.text) != 0:
        return False
    return not any(reply.body or has_a_reason(reply) for reply in (uidl, scan))


def has_a_reason(refused: Reply) -> bool:
    """Whether a list is refused for another reason than that the server has no such list."""
    return bool(refused.line.code) or is_limited(refused.line)


def listing(stat: Reply, uidl: Reply, scan: Reply) -> Listing:
    """The letters that every list agrees on; complete if there is no letter that they do not agree on.

    `scan`, the answer to LIST, is positive; a negative `uidl` means a server without unique-ids. Raises
    RemoteProtocolError.
    """
    sizes = scan_listings(scan.body)
    announced = drop_listing(stat.line.text) if stat.line.status is Status.OK else None
    has_uids = uidl.line.status is Status.OK
    uids = unique_id_listings(uidl.body) if has_uids else dict.fromkeys(sizes, "")
    # A letter with no unique-id among letters that have one, or with no size, is left out: the next listing may
    # know better.
    letters = tuple(Listed(number, uids[number], sizes[number]) for number in sorted(uids.keys() & sizes.keys()))
    return Listing(
        letters=letters,
        complete=announced == len(sizes) and uids.keys() == sizes.keys(),
        has_uids=has_uids,
        octets=sum(letter.size for letter in letters),
        unlisted=max(announced or 0, len(uids.keys() | sizes.keys())) - len(letters),
    )
