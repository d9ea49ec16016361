"""The password of a line that was pasted into the form of a new rule: sealed in the session until the rule is saved.

It goes on only towards the account that it was pasted for, and never less protected.
"""

from django.http import HttpRequest

from fetchrules.errors import PasswordUnreadable
from fetchrules.panel import access
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.ruletext.line import parse_line
from fetchrules.ruletext.render import render_rule
from fetchrules.secrets.sealed import SealedDraft
from fetchrules.secrets.sealing import seal, unseal


def keep(request: HttpRequest, rule: Rule) -> None:
    """Remember `rule` instead of what was remembered, if it has a password."""
    forget(request)
    if rule.password != MASK:
        request.session[SealedDraft.LINE] = seal(render_rule(rule, Spelling.BLANKS), _target(request))


def recall(request: HttpRequest) -> Rule | None:
    """The rule with its password; None where nothing is remembered, or no key opens it."""
    try:
        return parse_line(unseal(request.session.get(SealedDraft.LINE, ""), _target(request))).rule
    except PasswordUnreadable:
        return None


def forget(request: HttpRequest) -> None:
    """There is nothing to remember any more."""
    request.session.pop(SealedDraft.LINE, None)


def _target(request: HttpRequest) -> str:
    return SealedDraft.LINE.target(access.user_of(request).pk)
