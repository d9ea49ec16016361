"""The text that somebody is working on: shown masked like any other, its passwords sealed in the session until it is applied."""

from collections import defaultdict, deque

from django.http import HttpRequest

from fetchrules.errors import PasswordUnreadable
from fetchrules.ruletext.document import Document, parse, render
from fetchrules.ruletext.line import Line
from fetchrules.ruletext.spec import MASK
from fetchrules.ruletext.trust import keeps_password
from fetchrules.secrets import seal, unseal
from fetchrules.views import access

_KEY = "text_draft"


def keep(request: HttpRequest, text: str) -> str:
    """Remember `text`; what of it may be shown."""
    request.session[_KEY] = seal(text, _target(request))
    return render(parse(text).masked())


def forget(request: HttpRequest) -> None:
    """There is nothing to remember any more."""
    request.session.pop(_KEY, None)


def restore(request: HttpRequest, text: str) -> str:
    """`text` with the passwords that were masked when it was shown. Lines that the draft does not explain stay as they are."""
    known = _Draft(_remembered(request))
    document = parse(text)
    return render(Document(document.start, tuple(known.original(line) for line in document.lines)))


class _Draft:
    """The lines of a draft, by what was shown of them."""

    def __init__(self, document: Document) -> None:
        self._shown: dict[str, deque[Line]] = defaultdict(deque)
        self._rules: list[Line] = []
        for line in document.lines:
            masked = line.masked().text
            if masked != line.text:
                self._shown[masked].append(line)
            if line.rule and line.rule.password != MASK:
                self._rules.append(line)

    def original(self, line: Line) -> Line:
        """The line that was shown as `line`, or `line` with the password that its account has in the draft."""
        if self._shown.get(line.text):
            return Line(self._shown[line.text].popleft().tokens, line.ending)
        if line.rule is None or line.rule.password != MASK:
            return line
        passwords = {
            known.rule.password for known in self._rules if known.rule and keeps_password(known.rule, line.rule)
        }
        return line.with_password(passwords.pop()) if len(passwords) == 1 else line


def _remembered(request: HttpRequest) -> Document:
    try:
        return parse(unseal(request.session.get(_KEY, ""), _target(request)))
    except PasswordUnreadable:
        return Document()


def _target(request: HttpRequest) -> str:
    return f"text draft\n{access.user_of(request).pk}"
