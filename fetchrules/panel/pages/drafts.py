"""The text that somebody is working on: shown masked like any other, its passwords sealed in the session until it is applied."""

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence

from django.http import HttpRequest

from fetchrules.errors import PasswordUnreadable
from fetchrules.panel import access
from fetchrules.rule import MASK, Rule
from fetchrules.ruletext.document import Document, parse, render
from fetchrules.ruletext.line import Line
from fetchrules.ruletext.sources import Source, account_of
from fetchrules.ruletext.trust import keeps_password
from fetchrules.secrets.sealed import SealedDraft
from fetchrules.secrets.sealing import seal, unseal


def keep(request: HttpRequest, text: str) -> str | None:
    """Remember `text`, if there is anything in it that may not be shown; what may be.

    None: the text is too much to be looked into. Nothing of it is kept, for every request of this session would carry it along.
    """
    document = parse(text)
    if document.is_refused:
        forget(request)
        return None
    masked = render(document.masked())
    if masked == text:
        forget(request)
    else:
        request.session[SealedDraft.TEXT] = seal(text, _target(request))
    return masked


def forget(request: HttpRequest) -> None:
    """There is nothing to remember any more."""
    request.session.pop(SealedDraft.TEXT, None)


def restore(request: HttpRequest, text: str) -> str:
    """`text` with the passwords that were masked when it was shown. Lines that the draft does not explain stay as they are."""
    known = _Draft(_remembered(request))
    document = parse(text)
    return render(Document(document.start, tuple(known.originals(document.lines))))


class _Draft:
    """The lines of a draft, and what was shown of them. All broken lines are shown alike."""

    def __init__(self, document: Document) -> None:
        self._lines = document.lines
        self._shown = [line.masked().text for line in document.lines]
        self._rules: dict[Source, list[Rule]] = defaultdict(list)
        for line in document.lines:
            if line.rule and line.rule.password != MASK:
                self._rules[account_of(line.rule)].append(line.rule)

    def originals(self, lines: Sequence[Line]) -> Iterator[Line]:
        """Each of `lines` as the line of the draft that was shown so, or with the password that its account has in the draft."""
        known = counterparts([line.text for line in lines], self._shown)
        for number, line in enumerate(lines):
            if number in known:
                yield Line(self._lines[known[number]].tokens, line.ending)
            elif line.rule is None or line.rule.password != MASK:
                yield line
            else:
                same_account = self._rules.get(account_of(line.rule), ())
                passwords = {rule.password for rule in same_account if keeps_password(rule, line.rule)}
                yield line.with_password(passwords.pop()) if len(passwords) == 1 else line


def counterparts(new: Sequence[str], old: Sequence[str]) -> dict[int, int]:
    """Which line of `old` each line of `new` is (from 0), where no other can be meant.

    If nothing but corrections was made, every other line is in its place; else lines that look alike are the same in their order,
    unless there are more or fewer of them.
    """
    if len(new) == len(old):
        stayed = {number for number, (one, other) in enumerate(zip(new, old, strict=True)) if one == other}
        if not _places(new, stayed).keys() & _places(old, stayed).keys():
            return {number: number for number in stayed}
    theirs = _places(old, ())
    found: dict[int, int] = {}
    for text, places in _places(new, ()).items():
        if len(places) == len(theirs.get(text, ())):
            found |= zip(places, theirs[text], strict=True)
    return found


def _places(lines: Sequence[str], without: Container[int]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        if number not in without:
            places[line].append(number)
    return places


def _remembered(request: HttpRequest) -> Document:
    try:
        return parse(unseal(request.session.get(SealedDraft.TEXT, ""), _target(request)))
    except PasswordUnreadable:
        return Document()


def _target(request: HttpRequest) -> str:
    return SealedDraft.TEXT.target(access.user_of(request).pk)
