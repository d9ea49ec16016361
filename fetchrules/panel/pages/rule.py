"""The page of one rule: new, copied, pasted or changed."""

from dataclasses import dataclass, replace
from datetime import datetime

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from fetchrules.acts import roles
from fetchrules.acts.rules import set_rule
from fetchrules.acts.writer import UNSEEN, RuleChanged
from fetchrules.ledger import by_hand, fetched, hosts
from fetchrules.ledger.source_mailboxes import folders_of
from fetchrules.models import AuditEntry, FetchRule, ServiceSettings
from fetchrules.panel import access
from fetchrules.panel.forms.rule import BLANK, RuleForm
from fetchrules.panel.forms.saving import REFUSALS, Present
from fetchrules.panel.pages import drafts, letters
from fetchrules.panel.pages.connection_trial import TrialShown, try_rule
from fetchrules.panel.pages.rule_preview import RulePreview, preview_of
from fetchrules.panel.pages.rule_rows import RuleRow, rows_of
from fetchrules.panel.pages.rules import with_state
from fetchrules.panel.params import number
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.edits import collected_since, is_to_be_passed
from fetchrules.rulebook.rows import changes_of
from fetchrules.ruletext.document import parse
from fetchrules.secrets.sealed import SealedDraft
from fetchrules.words.events import describe_change
from fetchrules.words.names import source_name
from fetchrules.words.ruletext import describe

LONGEST = 10_000


class PasteForm(forms.Form):
    """The line is never shown again: there is a password in it."""

    line = forms.CharField(
        label=gettext_lazy("Paste a line"),
        max_length=LONGEST,
        strip=False,
        widget=forms.PasswordInput(
            attrs={"class": "field mono", "type": "text", "form": "paste", "autocomplete": "off", "spellcheck": "false"}
        ),
        help_text=gettext_lazy(
            "Fills the fields below. Example: mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru"
        ),
    )

    def clean_line(self) -> Rule:
        document = parse(str(self.cleaned_data["line"]))
        rules = [line.rule for line in document.lines if line.rule is not None]
        if document.errors:
            raise forms.ValidationError([describe(problem) for problem in document.errors])
        if len(rules) != 1:
            raise forms.ValidationError(gettext_lazy("One rule, please: what was pasted has none, or several."))
        return rules[0]


_OF_THE_TEXT = ("text_applied", "text_undone")


@dataclass(frozen=True, slots=True)
class Conflict:
    """What to say where somebody else has changed the rule since the form was made.

    `who` is empty where the audit does not say it. `differences`: from the rule as it is now to what stands in the form.
    """

    at: datetime
    who: str
    differences: tuple[str, ...]

    @classmethod
    def of(cls, row: FetchRule, wanted: Rule) -> "Conflict":
        """Between `row`, as it is now, and what the form wants."""
        since = AuditEntry.objects.filter(at__gte=row.edited_at)
        entry = since.filter(Q(about=str(row)[:400]) | Q(what__in=_OF_THE_TEXT)).order_by("at", "id").first()
        differences = changes_of(row, wanted, row.as_rule(MASK))
        said = tuple(describe_change(one.field, one.old, one.new) for one in differences)
        return cls(row.edited_at, entry.who if entry else "", said)


@require_http_methods(["GET", "HEAD", "POST"])
@access.editors_only
def new(request: HttpRequest) -> HttpResponse:
    """A new rule, a copy of one, or one from a pasted line."""
    user = access.user_of(request)
    if not roles.edits_all(user) and _owned(user) >= ServiceSettings.current().owner_rules:
        messages.error(request, _("You have as many rules as you may have."))
        return redirect("rules")
    if "line" in request.POST:
        return _filled_in(request, PasteForm(request.POST))
    if request.method != "POST":
        drafts.forget(request, SealedDraft.LINE)
    start = BLANK
    if copied := request.GET.get("copy", ""):
        rule = get_object_or_404(roles.editable_rules(user), id=number(copied) or 0)
        start = replace(rule.as_rule(MASK), user="")
    return _page(request, _form(request, rule=start), None, PasteForm())


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, rule_id: int) -> HttpResponse:
    user = access.user_of(request)
    rule = get_object_or_404(roles.editable_rules(user), id=rule_id)
    if not roles.edits_rules(user):
        raise PermissionDenied
    return _page(request, _form(request, stored=rule), rule)


@require_POST
@access.editors_only
def preview(request: HttpRequest) -> HttpResponse:
    """What stands beside the form, for what is being typed, and what it asks of ledgers. Saves nothing."""
    user, rule_id = access.user_of(request), number(request.GET.get("rule", "")) or 0
    form = _form(request, stored=roles.editable_rules(user).filter(id=rule_id).first())
    form.is_valid()
    return render(request, "fetchrules/_typed.html", {"preview": _preview_of(form), "form": form})


def _owned(user: User) -> int:
    return FetchRule.objects.filter(owner=user).count()


def _form(request: HttpRequest, *, rule: Rule = BLANK, stored: FetchRule | None = None) -> RuleForm:
    """As the reader may fill it in; an owner delivers into his own mailbox and no other."""
    user = access.user_of(request)
    return RuleForm(
        request.POST if request.method == "POST" and "line" not in request.POST else None,
        rule=rule,
        stored=stored,
        pasted=None if stored else drafts.recall_rule(request),
        fixed_recipient="" if roles.edits_all(user) else user.email,
        administers=roles.administers(user),
    )


def _filled_in(request: HttpRequest, paste: PasteForm) -> HttpResponse:
    """The form as the pasted line says; its password is kept aside."""
    if not paste.is_valid():
        return _page(request, _form(request), None, paste)
    rule = paste.cleaned_data["line"]
    drafts.keep_rule(request, rule)
    return _page(request, _form(request, rule=replace(rule, password=MASK)), None, PasteForm())


def _page(request: HttpRequest, form: RuleForm, rule: FetchRule | None, paste: PasteForm | None = None) -> HttpResponse:
    trial = conflict = None
    if form.is_bound and form.is_valid():
        if "test" in request.POST:
            trial = _try(request, form, rule)
        else:
            try:
                return _save(request, form, rule)
            except RuleChanged as changed:
                rule, conflict = changed.row, Conflict.of(changed.row, form.draft())
            except REFUSALS as refusal:
                form.refuse(refusal)
    if "fragment" in request.POST:
        return render(request, "fetchrules/_trial.html" if trial else "utm/errors.html", {"form": form, "trial": trial})
    context = {
        "form": form,
        "paste": paste,
        "rule": rule,
        "seen": request.POST.get("seen", "") if form.is_bound and conflict is None else rule and rule.revision,
        "conflict": conflict,
        "trial": trial,
        "preview": _preview_of(form),
        "title": _("Rule: %(rule)s") % {"rule": source_name(rule.user, rule.server)} if rule else _("New rule"),
    }
    return render(request, "fetchrules/rule.html", context | (_now(request, rule) if rule else {}))


def _now(request: HttpRequest, rule: FetchRule) -> dict[str, object]:
    """What the page says of the rule as it is at present."""
    found = list(with_state(FetchRule.objects.filter(id=rule.id)))
    row: RuleRow = rows_of(found, timezone.now(), access.user_of(request))[0]
    return {
        "row": row,
        "passing": is_to_be_passed(rule),
        "since": collected_since(rule),
        "waiting": fetched.waiting(folders_of(rule.source)),
        "passed": by_hand.passed(folders_of(rule.source)).count(),
        "problems": letters.problems_of(roles.visible_letters(access.user_of(request)), rule),
        "shifting": hosts.that_shift().filter(host=rule.source.host).first(),
    }


def _preview_of(form: RuleForm) -> RulePreview:
    passing = form["present"].value() == Present.NONE
    return preview_of(form.shown(), ServiceSettings.current().interval, pass_present=passing)


def _try(request: HttpRequest, form: RuleForm, rule: FetchRule | None) -> TrialShown:
    """Whoever is no administrator tries public mail servers only, whatever the rule itself may connect to."""
    return try_rule(
        request,
        rule,
        form.draft(),
        restricted=form.restricted is not False,
        pass_present=form.passes_present,
        since=form.since_day,
        recognises=form.recognises,
    )


def _save(request: HttpRequest, form: RuleForm, rule: FetchRule | None) -> HttpResponse:
    """Raises what `set_rule` does."""
    said = number(request.POST.get("seen", ""))
    seen = UNSEEN if said is None else said
    saved = set_rule(
        rule,
        form.draft(),
        by=access.user_of(request),
        seen=seen if rule else None,
        by_hand="poll" in request.POST,
        **form.saving_choices(),
    )
    drafts.forget(request, SealedDraft.LINE)
    if saved.enabled:
        messages.success(request, _("Saved. The rule is in effect and is being polled now."))
    else:
        messages.success(request, _("Saved. The rule is off."))
    return redirect(f"{reverse('rules')}#rule-{saved.id}")
