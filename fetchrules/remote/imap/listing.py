"""A folder's letters, portion by portion: servers limit how many they list at a time, or hang up on a command for too many."""

from fetchrules.errors import ServerRefused
from fetchrules.remote.imap.client import FencedImap
from fetchrules.remote.imap.fetched import listing
from fetchrules.remote.imap.refusals import is_limit, refusal
from fetchrules.remote.mailbox import Listed

LETTERS_MAX = 200_000
"""Letters of a folder that are listed, the newest. A larger one is collected in several goes: its listing is never complete."""

PORTION = 10_000
"""Letters in one command."""

LINE_MAX = 512
"""Octets that the listing may have for each letter, its keywords included."""

Letters = dict[int, tuple[Listed, bool]]
"""By UID, letters and whether they are flagged \\Deleted."""


def list_letters(client: FencedImap, exists: int, at_once: int | None) -> tuple[Letters, bool]:
    """The letters of a folder that has `exists` of them, at most `at_once` in a command, and whether these are all.

    By message numbers, the newest first. A server may not renumber while it answers FETCH; what is told of letters that went
    between two portions makes the list incomplete. Letters that arrive meanwhile have higher numbers, and stay out. Raises
    FetchError where it has told of none of a portion.
    """
    for told in ("EXPUNGE", "EXISTS"):
        client.response(told)  # before we began
    found: Letters = {}
    whole = True
    last, lowest = exists, max(exists - LETTERS_MAX, 0)
    while last > lowest:
        count = min(_at_once(client, at_once), last - lowest)
        portion = _portion(client, last - count + 1, count)
        if portion is None:
            continue
        some, told_all = portion
        if not some and last == exists > count:
            # Nothing where the newest should be: there are not so many letters as the server says.
            return _from_the_first(client, exists, at_once), False
        found.update(some)
        whole, last = whole and told_all, last - count
    return found, whole and not _letters_went(client, exists)


def _from_the_first(client: FencedImap, exists: int, at_once: int | None) -> Letters:
    found: Letters = {}
    first = 1
    while first <= min(exists, LETTERS_MAX):
        count = min(_at_once(client, at_once), exists - first + 1)
        portion = _portion(client, first, count)
        if portion is None:
            continue
        some, _ = portion
        if not some:
            break
        found.update(some)
        first += count
    return found


def _at_once(client: FencedImap, at_once: int | None) -> int:
    return min(PORTION, at_once or PORTION, client.most or PORTION)


def _letters_went(client: FencedImap, exists: int) -> bool:
    now = client.number("EXISTS")
    return client.response("EXPUNGE")[1] != [None] or (now is not None and now < exists)


def _portion(client: FencedImap, first: int, count: int) -> tuple[Letters, bool] | None:
    """`count` letters from the `first` on, and whether these are all; None where fewer have to be asked for.

    A server that cannot tell of one letter (Gmail says NO, Exchange BAD) has told of the others. Raises FetchError where it has
    told of none, or tells of no more for now.
    """
    client.response("FETCH")  # what was told unasked
    answer = client.run(
        lambda: client.fetch(f"{first}:{first + count - 1}", "(UID FLAGS INTERNALDATE RFC822.SIZE)"),
        octets=LINE_MAX * (count + 1000),
        lines=2 * count + 1000,
        bad_is_no=True,
        patiently="FETCH",
    )
    found = listing(answer.data if answer.ok else client.response("FETCH")[1])
    if answer.partial and len(found) < count and client.most is not None and client.most < count:
        return None
    if not answer.ok:
        error = refusal(answer.words, ServerRefused)
        if not found or is_limit(error):
            raise error
    return found, answer.ok and not answer.partial
