"""A folder's listing, which is fetched in portions because servers limit how much they list."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fetchrules.errors import ServerRefused
from fetchrules.remote.imap.conversation import Answer, ImapConversation, is_limit
from fetchrules.remote.imap.grammar import Items, flags_of, internal_date, number, uid_of
from fetchrules.remote.imap.protocol import Command, Fetched, Verb
from fetchrules.remote.mailbox import Listed

LETTERS_MAX = 200_000
"""The newest letters of a folder are listed. A larger folder takes several polls; its listing is never complete."""

PORTION = 10_000
"""Letters in one command."""

_ITEMS = "(UID FLAGS INTERNALDATE RFC822.SIZE)"
ALL = Command(Verb.FETCH, ("1:*", _ITEMS), letters=2 * PORTION)
"""Asks for the listing of a folder that had at most PORTION letters when we last saw it."""

Letters = dict[int, tuple[Listed, bool]]
"""By UID, letters and whether they are flagged \\Deleted."""


def list_letters(
    conversation: ImapConversation, exists: int, at_once: int | None = None, listed: Answer | None = None
) -> tuple[Letters, bool]:
    """The letters of a folder that has `exists` of them, and whether these are all.

    `listed`: the answer to ALL, if that was asked; it serves if it is whole. Else letters are asked for by message numbers, the
    newest first; `at_once` in a command, and then one command at a time. Letters that vanish meanwhile make the list incomplete;
    letters that arrive have higher numbers and stay out. Raises FetchError where a portion brings nothing.
    """
    if listed is not None and (not exists or (listed.ok and not listed.partial)):
        return listing(listed.fetched, exists), not _shrank(listed, exists)
    found: Letters = {}
    whole, nothing = True, False
    portions = list(_cut(max(exists - LETTERS_MAX, 0) + 1, exists, _at_once(conversation, at_once)))
    while portions:
        window = 1 if at_once or conversation.most else len(portions)
        asked, portions = portions[:window], portions[window:]
        again: list[tuple[int, int]] = []
        for (first, last), answer in zip(asked, _answers(conversation, asked), strict=True):
            letters = listing(answer.fetched, exists)
            found.update(letters)
            if answer.partial and len(letters) <= last - first and _at_once(conversation, None) <= last - first:
                again += _cut(first, last, _at_once(conversation, at_once))
                continue
            _require_letters(conversation, answer, letters)
            whole = whole and answer.ok and not answer.partial and not _shrank(answer, exists)
            nothing = nothing or (not letters and last == exists > last - first + 1)
        if nothing:
            # Nothing where the newest should be: there are not so many letters as the server says.
            return _from_the_first(conversation, exists, at_once), False
        portions = again + portions
    return found, whole


def _at_once(conversation: ImapConversation, at_once: int | None) -> int:
    return min(PORTION, at_once or PORTION, conversation.most or PORTION)


def _cut(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """The numbers `first` to `last` in ranges of at most `size`, the last range first."""
    for end in range(last, first - 1, -size):
        yield max(first, end - size + 1), end


def _answers(conversation: ImapConversation, portions: Iterable[tuple[int, int]]) -> Iterator[Answer]:
    return conversation.answers(
        [Command(Verb.FETCH, (f"{first}:{last}", _ITEMS), letters=last - first + 1) for first, last in portions]
    )


def _require_letters(conversation: ImapConversation, answer: Answer, letters: Letters) -> None:
    """After a NO (Gmail) or BAD (Exchange) for one letter the others count. Raises FetchError without any, or at a limit."""
    if not answer.ok:
        error = conversation.refused(answer.line, ServerRefused)
        if not letters or is_limit(error):
            raise error


def _shrank(answer: Answer, exists: int) -> bool:
    now = answer.number("EXISTS")
    return answer.number("EXPUNGE") is not None or (now is not None and now < exists)


def _from_the_first(conversation: ImapConversation, exists: int, at_once: int | None) -> Letters:
    found: Letters = {}
    first = 1
    while first <= min(exists, LETTERS_MAX):
        last = min(first + _at_once(conversation, at_once) - 1, exists)
        answer = next(_answers(conversation, [(first, last)]))
        letters = listing(answer.fetched, exists)
        found.update(letters)
        if answer.partial and _at_once(conversation, None) <= last - first:
            continue
        _require_letters(conversation, answer, letters)
        if not letters:
            break
        first = last + 1
    return found


def listing(answers: Iterable[Fetched], exists: int) -> Letters:
    """The first `exists` letters, those with sizes, by UID, and whether they are \\Deleted.

    Of several answers about one letter the last counts.
    """
    letters: dict[int, Listed] = {}
    sized: set[int] = set()
    deleted: set[int] = set()
    for one in answers:
        items, uid = one.items, uid_of(one.items)
        if uid is None or one.number > exists:  # flags that another client changes, or a letter that has just come
            continue
        letters[uid] = _listed(uid, items, letters.get(uid))
        if b"RFC822.SIZE" in items:
            sized.add(uid)
        if b"FLAGS" in items:
            (deleted.add if b"\\deleted" in flags_of(items) else deleted.discard)(uid)
    return {uid: (letter, uid in deleted) for uid, letter in letters.items() if uid in sized}


def _listed(uid: int, items: Items, before: Listed | None) -> Listed:
    """A line of the listing. An absent or odd size is 0. `before` is an earlier line of the same letter."""
    flags = flags_of(items)
    listed = Listed(
        number=uid,
        uid=str(uid),
        size=number(items.get(b"RFC822.SIZE")) or 0,
        seen=b"\\seen" in flags,
        received=internal_date(items.get(b"INTERNALDATE")),
        starred=b"\\flagged" in flags,
        answered=b"\\answered" in flags,
    )
    if before is None:
        return listed
    marked = listed if b"FLAGS" in items else before
    return replace(
        listed,
        size=listed.size if b"RFC822.SIZE" in items else before.size,
        seen=marked.seen,
        received=listed.received or before.received,
        starred=marked.starred,
        answered=marked.answered,
    )
