"""What somebody is working on: the rule text, or a line pasted into the form of a new rule.

The pages show it masked like any other. Its passwords stay sealed in the session until it is applied or saved, and go on only
towards the account that they were typed for, never less protected.
"""

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from django.http import HttpRequest

from fetchrules.errors import PasswordUnreadable
from fetchrules.panel import access
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.ruletext.document import Document, parse
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.sources import Source, account_of, keeps_password
from fetchrules.secrets.sealed import SealedDraft
from fetchrules.secrets.sealing import seal, unseal


def keep_text(request: HttpRequest, document: Document) -> str | None:
    """Remember the text of `document` if it may not be shown as it is; the text that may.

    None: the text is too long to be parsed. It is not remembered, for every request of the session would carry it along.
    """
    forget(request, SealedDraft.TEXT)
    if document.is_refused:
        return None
    masked, text = document.masked_text, document.text
    if masked != text:
        _keep(request, SealedDraft.TEXT, text)
    return masked


def restore_text(request: HttpRequest, text: str) -> Document:
    """`text` with the passwords that were masked when it was shown. Lines that the draft does not explain stay as they are."""
    document = parse(text)
    remembered = _remembered(request, SealedDraft.TEXT)
    return document.with_lines(_Shown(parse(remembered)).originals(document.lines)) if remembered else document


def keep_rule(request: HttpRequest, rule: Rule) -> None:
    """Remember `rule` instead of what was remembered, if it has a password."""
    forget(request, SealedDraft.LINE)
    if rule.password != MASK:
        _keep(request, SealedDraft.LINE, render_rule(rule, Spelling.BLANKS))


def recall_rule(request: HttpRequest) -> Rule | None:
    """The pasted rule with its password; None where nothing is remembered, or no key opens it."""
    return parse_line(_remembered(request, SealedDraft.LINE)).rule


def forget(request: HttpRequest, draft: SealedDraft) -> None:
    """Remember nothing any more."""
    request.session.pop(draft, None)


def _keep(request: HttpRequest, draft: SealedDraft, text: str) -> None:
    request.session[draft] = seal(text, draft.target(access.user_of(request).pk))


def _remembered(request: HttpRequest, draft: SealedDraft) -> str:
    """The text that is remembered; empty where there is none, or no key opens it."""
    try:
        return unseal(request.session.get(draft, ""), draft.target(access.user_of(request).pk))
    except PasswordUnreadable:
        return ""


class _Shown:
    """The lines of a remembered text, and how they were shown. All broken lines are shown alike."""

    def __init__(self, document: Document) -> None:
        self._lines = document.lines
        self._shown = [line.masked_text for line in document.lines]
        self._rules: dict[Source, list[Rule]] = defaultdict(list)
        for line in document.lines:
            if line.rule and line.rule.password != MASK:
                self._rules[account_of(line.rule)].append(line.rule)

    def originals(self, lines: Sequence[Line]) -> Iterator[Line]:
        """Each of `lines` as the remembered line that was shown so, or with the password that its account has there."""
        known = _counterparts([line.text for line in lines], self._shown)
        for number, line in enumerate(lines):
            if number in known:
                yield replace(self._lines[known[number]], ending=line.ending)
            elif line.rule is None or line.rule.password != MASK:
                yield line
            else:
                same_account = self._rules.get(account_of(line.rule), ())
                passwords = {rule.password for rule in same_account if keeps_password(rule, line.rule)}
                yield line.with_password(passwords.pop()) if len(passwords) == 1 else line


def _counterparts(new: Sequence[str], old: Sequence[str]) -> dict[int, int]:
    """Which line of `old` each line of `new` is (from 0), where no other can be meant.

    If lines were only corrected, every other line is in its place. Otherwise lines that look alike are the same in their order,
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
