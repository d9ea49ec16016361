"""The page of one rule: new, copied or changed."""

from dataclasses import replace

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from fetchrules import tasks
from fetchrules.forms.rule import BLANK, RuleForm
from fetchrules.ledger import by_hand, hosts, runs
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rulebook.changes import Change, changes_of
from fetchrules.rulebook.edits import LedgerTaken, SourceTaken, is_to_be_passed, set_rule
from fetchrules.rulebook.renaming import LedgerChange, ledger_change
from fetchrules.ruletext.spec import MASK
from fetchrules.sources import folders_of
from fetchrules.views import access, audit, problems
from fetchrules.views.listing import with_state
from fetchrules.views.preview import Preview, preview_of
from fetchrules.views.rows import rows_of
from fetchrules.views.trial import try_rule
from fetchrules.wording.names import source_name


@require_http_methods(["GET", "HEAD", "POST"])
@access.editors_only
def new(request: HttpRequest) -> HttpResponse:
    """A new rule, or a copy of one."""
    user = access.user_of(request)
    if not access.edits_all(user) and _owned(user) >= ServiceSettings.current().owner_rules:
        messages.error(request, _("You have as many rules as you may have."))
        return redirect("rules")
    start = BLANK
    if copied := request.GET.get("copy", ""):
        rules = access.editable_rules(user).filter(id=int(copied) if copied.isascii() and copied.isdigit() else 0)
        start = replace(get_object_or_404(rules).as_rule(MASK), user="")
    form = RuleForm(request.POST or None, rule=start, fixed_recipient=_fixed_recipient(user))
    return _page(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Change a rule."""
    user = access.user_of(request)
    rule = get_object_or_404(access.editable_rules(user), id=rule_id)
    if not access.edits_rules(user):
        raise PermissionDenied
    form = RuleForm(request.POST or None, stored=rule, fixed_recipient=_fixed_recipient(user))
    return _page(request, form, rule)


@require_POST
@access.editors_only
def preview(request: HttpRequest) -> HttpResponse:
    """What stands beside the form, for what is being typed, and what it asks of ledgers. Saves nothing."""
    user, rule_id = access.user_of(request), request.GET.get("rule", "")
    known = access.editable_rules(user).filter(id=int(rule_id) if rule_id.isascii() and rule_id.isdigit() else 0)
    form = RuleForm(request.POST, stored=known.first(), fixed_recipient=_fixed_recipient(user))
    form.is_valid()
    return render(request, "fetchrules/_typed.html", {"preview": _preview_of(form), "form": form})


def _page(request: HttpRequest, form: RuleForm, rule: FetchRule | None) -> HttpResponse:
    trial = None
    if form.is_bound and form.is_valid():
        user = access.user_of(request)
        owner = None if access.edits_all(user) else user
        wanted = form.draft()
        if "test" in request.POST:
            pass_present = form.cleaned_data["pass_present"]
            trial = try_rule(rule, wanted, owner, pass_present=pass_present, recognises=form.recognises)
        else:
            changes = changes_of(rule, wanted) if rule else None
            try:
                saved = set_rule(rule, wanted, owner, **form.once())
                return _saved(request, saved, changes, ledger_change(rule.source if rule else None, saved.source))
            except SourceTaken:
                form.add_error(
                    "user", _("Another rule collects from this mailbox; two may share it only if both keep its mail.")
                )
            except LedgerTaken:
                form.refuse_choice()
    if "fragment" in request.POST:
        return render(request, "fetchrules/_trial.html" if trial else "utm/errors.html", {"form": form, "trial": trial})
    context = {
        "form": form,
        "rule": rule,
        "trial": trial,
        "preview": _preview_of(form),
        "row": _row(rule),
        "passing": rule is not None and is_to_be_passed(rule),
        "passed": by_hand.passed(folders_of(rule.source)).count() if rule else 0,
        "problems": problems.number_of(rule) if rule else 0,
        "shifting": hosts.that_shift().filter(host=rule.source.host).first() if rule else None,
        "title": _("Rule: %(rule)s") % {"rule": source_name(rule.user, rule.server)} if rule else _("New rule"),
    }
    return render(request, "fetchrules/rule.html", context)


def _preview_of(form: RuleForm) -> Preview:
    return preview_of(form.shown(), _usual_interval(), pass_present=bool(form["pass_present"].value()))


def _saved(
    request: HttpRequest, rule: FetchRule, changes: tuple[Change, ...] | None, ledger: LedgerChange | None
) -> HttpResponse:
    """`changes` None: it is a new rule."""
    audit.record_saved(request, rule, changes, ledger)
    if "poll" in request.POST:
        runs.ask_for_poll(FetchRule.objects.filter(id=rule.id), timezone.now())
        tasks.wake()
    if rule.enabled:
        messages.success(request, _("Saved. The rule is in effect and is being polled now."))
    else:
        messages.success(request, _("Saved. The rule is off."))
    return redirect(f"{reverse('rules')}#rule-{rule.id}")


def _row(rule: FetchRule | None) -> object:
    """The rule's row in the list, for its present state."""
    return rows_of(list(with_state(FetchRule.objects.filter(id=rule.id))), timezone.now())[0] if rule else None


def _fixed_recipient(user: User) -> str:
    """An owner's own mailbox: he may deliver into no other."""
    return "" if access.edits_all(user) else user.email


def _owned(user: User) -> int:
    return FetchRule.objects.filter(owner=user).count()


def _usual_interval() -> int:
    return ServiceSettings.current().interval
