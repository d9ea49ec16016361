"""Who changed what, when: the writer's one function, and the page."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fetchrules.models import AuditEntry, FetchRule
from fetchrules.panel import access
from fetchrules.panel.params import page_of, search
from fetchrules.rulebook.changes import Change
from fetchrules.rulebook.ledgers import LedgerChange
from fetchrules.words import events
from fetchrules.words.ledgers import mailbox_name

PAGE = 100


Noted = str | int | bool | Sequence[Sequence[object]]
"""A detail: one value, or for each field its name, and its values before and after."""


def record(request: HttpRequest, what: str, about: object = "", **detail: Noted) -> None:
    """Note a change made by the reader of this page. `what` is a word of `wording.events`; `detail` never holds a secret."""
    _entry(request, what, about, detail).save()


def record_each(request: HttpRequest, what: str, rules: Iterable[FetchRule]) -> None:
    """Note the same of several rules."""
    AuditEntry.objects.bulk_create([_entry(request, what, rule, {}) for rule in rules], batch_size=1000)


def _entry(request: HttpRequest, what: str, about: object, detail: dict[str, Noted]) -> AuditEntry:
    who = access.user_of(request).get_username()
    return AuditEntry(who=who, what=what, about=str(about)[:400], detail=detail)


def record_saved(
    request: HttpRequest,
    rule: FetchRule,
    before: FetchRule | None,
    changes: Iterable[Change] | None,
    ledger: LedgerChange | None = None,
) -> None:
    """Note that a rule was changed, and in what; `before` and `changes` None: that it was added.

    `ledger`: what became of its ledger.
    """
    detail: dict[str, Noted] = {}
    if before is not None and before.restricted != rule.restricted:
        detail["restricted"] = rule.restricted
    if before is not None and before.owner_id != rule.owner_id:
        detail["owner"] = str(rule.owner or "")
    if ledger is not None:
        detail["former" if ledger.continues else "other_mailbox"] = mailbox_name(ledger.former)
    if changes is None:
        record(request, "rule_added", rule, **detail)
    else:
        record(request, "rule_changed", rule, fields=[astuple(change) for change in changes], **detail)


@require_safe
@access.administrators_only
def index(request: HttpRequest) -> HttpResponse:
    """The audit, newest first, with a search over names."""
    query = request.GET.get("q", "").strip()
    page = page_of(request, search(AuditEntry.objects.all(), query, "who", "about", "what"), PAGE)
    lines = [(entry, events.describe(entry.what), events.details(entry.detail)) for entry in page]
    return render(request, "fetchrules/audit.html", {"page": page, "lines": lines, "query": query})
