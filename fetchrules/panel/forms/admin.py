"""The form of a rule in Django's admin: its columns one by one, the password only ever written."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.acts.writer import RuleChanged
from fetchrules.models import FetchRule
from fetchrules.panel.forms.rule import SECTIONS
from fetchrules.panel.forms.saving import Refusal, complaints
from fetchrules.rule import FIELDS, MASK, MAX_LENGTHS, STORED, Rule, Section
from fetchrules.rulebook.edits import is_to_be_passed
from fetchrules.rulebook.rows import changes_of
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import keeps_password
from fetchrules.ruletext.validate import passing_fault, plain_fingerprint, problems_of
from fetchrules.words.events import describe_change
from fetchrules.words.ruletext import explain

_COLUMNS = tuple(field.column for field in STORED)


def _fieldsets() -> Iterator[Any]:
    """As ModelAdmin wants them: the sections of the form, and what is asked beside the rule."""
    beside = {Section.ACCOUNT: ["new_password", "other_mailbox"], Section.DELIVERY: ["owner", "restricted", "seen"]}
    for section, title in SECTIONS.items():
        columns = [field.column for field in STORED if field.section is section]
        yield title, {"fields": [*columns, *beside.get(section, [])]}


FIELDSETS = tuple(_fieldsets())


class RuleAdminForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Checked as a rule line is; saved through the rule book, so that the text follows."""

    new_password = forms.CharField(
        label=_("Password"),
        required=False,
        strip=False,
        max_length=MAX_LENGTHS["password"],
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Empty: the stored one stays. It is never shown"),
    )

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)
    """The revision of the rule that the form was made from."""

    other_mailbox = forms.BooleanField(
        label=_("This is another mailbox: collect everything that lies there"),
        required=False,
        help_text=_("Unless it is ticked, letters collected under another address of this mailbox are recognised"),
    )

    refused: ClassVar[Refusal | RuleChanged | None] = None
    """Why the rule book did not take what is filled in here."""

    class Meta:
        model = FetchRule
        fields = (*_COLUMNS, "owner", "restricted")
        widgets: ClassVar = {name: forms.Textarea(attrs={"rows": 2}) for name in ("into", "folders", "sslfingerprint")}
        # Option words are what they are in a rule's line; the others have their names from the columns.
        labels: ClassVar = {
            **{
                f.name: f.name for f in FetchRule._meta.fields if f.name in _COLUMNS and isinstance(f.verbose_name, str)
            },
            "owner": _("Mailbox owner"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before: Rule | None = self.instance.as_rule(MASK) if self.instance.pk else None
        self.initial["seen"] = self.instance.revision
        if isinstance(self.refused, RuleChanged):
            data = QueryDict(mutable=True)
            data.update(self.data)
            data["seen"] = str(self.refused.row.revision)
            self.data = data

    def clean_folders(self) -> list[str]:
        return self._list("folders", gettext('Expected a list of names, such as ["INBOX"].'))

    def clean_into(self) -> list[Any]:
        """Pairs of a folder there, empty for the whole rule, and one here."""
        return self._list("into", gettext('Expected a list of pairs, such as [["Spam", "Junk"]] or [["", "Bank"]].'))

    def clean_sslfingerprint(self) -> list[str]:
        pins = self._list("sslfingerprint", gettext("Expected a list of fingerprints in quotes."))
        return list(dict.fromkeys(map(plain_fingerprint, pins)))

    def _list(self, field: str, expected: str) -> list[Any]:
        items = self.cleaned_data[field] or []
        if not isinstance(items, list) or not all(map(FIELDS[field].may_hold, items)):
            raise forms.ValidationError(expected)
        return items

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.errors:
            return data
        wanted = self.wanted()
        for problem in problems_of(wanted):
            if problem.is_error and problem.field != "password":
                self.add_error(problem.field if problem.field in self.fields else None, explain(problem))
        if passing_fault(wanted) and self.before is not None and is_to_be_passed(self.instance, wanted):
            self.add_error(None, explain(Problem(Code.PRESENT_PENDING)))
        if wanted.password == MASK and (self.before is None or not keeps_password(self.before, wanted)):
            self.add_error("new_password", gettext("Enter the password."))
        self._complain(wanted)
        return data

    def _complain(self, wanted: Rule) -> None:
        """Say what the rule book has against it."""
        match self.refused:
            case None:
                return
            case RuleChanged(row=row):
                self.add_error(
                    None, gettext("Not saved: the rule was changed meanwhile. Saving again would change it so:")
                )
                for each in changes_of(row, wanted):
                    self.add_error(None, describe_change(each.field, each.old, each.new))
            case refusal:
                for name, words in complaints(refusal):
                    field = {"password": "new_password"}.get(name, name)
                    self.add_error(field if field in self.fields else None, words)

    def wanted(self) -> Rule:
        """The rule that the fields say, with MASK for a password that stays."""
        data = self.cleaned_data
        values = {field.name: field.from_column(data[field.column]) for field in STORED}
        return Rule(password=data.get("new_password") or MASK, **values)
