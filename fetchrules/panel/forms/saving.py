"""What is said when a rule is saved and is no part of it (ADR 14, 18), and what may be refused then."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Any, TypedDict

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.acts.writer import PasswordNeeded, RuleInvalid, SourceTaken
from fetchrules.errors import KeyMissing, PasswordUnreadable
from fetchrules.ledger.source_mailboxes import former_of, source_of
from fetchrules.models import FetchRule
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.edits import LedgerTaken, collected_since, is_to_be_passed
from fetchrules.rulebook.ledgers import Orphan, offered_to
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import account_of, sources_of
from fetchrules.ruletext.validate import passing_fault, read_day
from fetchrules.words.failures import describe
from fetchrules.words.names import continued, renamed, with_letters
from fetchrules.words.ruletext import explain

Refusal = RuleInvalid | SourceTaken | LedgerTaken | PasswordNeeded | PasswordUnreadable
REFUSALS = (RuleInvalid, SourceTaken, LedgerTaken, PasswordNeeded, PasswordUnreadable)


def complaints(refusal: Refusal) -> Iterator[tuple[str, str]]:
    """Each with the field that it is about; an empty name: with the whole form."""
    match refusal:
        case RuleInvalid():
            yield from ((problem.field, explain(problem)) for problem in refusal.problems)
        case SourceTaken():
            yield (
                "user",
                gettext("Another rule collects from this mailbox; two may share it only if both keep its mail."),
            )
        case LedgerTaken():
            yield (
                "same_mailbox",
                gettext("This mailbox cannot be chosen any more: a rule reads it, or it is another recipient's."),
            )
        case PasswordNeeded():
            yield (
                "password",
                gettext("Server, login or protection were changed: enter the password again."),
            )
        case KeyMissing():
            yield "password", describe(refusal.code).title
        case PasswordUnreadable():
            yield "password", gettext("The stored password cannot be read: enter it again.")


class Present(StrEnum):
    """What becomes of the letters that the first poll meets."""

    ALL = "all"
    SINCE = "since"
    NONE = "none"


def _met(present: str, since: date | None) -> str:
    """What is said of the letters that the first poll meets, in one word and perhaps a day."""
    return f"{present} {since or ''}".rstrip()


class SavingChoices(TypedDict):
    """What may be said with a rule and is no part of it: keywords of `set_rule`."""

    restricted: bool | None
    pass_present: bool | None
    since: date | None
    other_mailbox: bool
    same_mailbox: int | None


class SavingForm(forms.Form):
    """The fields of a rule's form that are no part of the rule. All but one hold for the moment of saving.

    `stored` is the rule that is being changed, None for a new one. `offers`: ledgers without a rule that a new one may go on with.
    """

    public_only = forms.BooleanField(
        label=_("Connect to public mail servers only"),
        required=False,
        help_text=_(
            "Set when somebody who is no administrator says where to connect to; only administrators take it away"
        ),
    )
    present = forms.ChoiceField(
        label=_("What already lies on the server"),
        required=False,
        choices=[
            (Present.ALL, _("is collected")),
            (Present.SINCE, _("is collected if it arrived since:")),
            (Present.NONE, _("counts as collected, as after a move from UTM with keep")),
        ],
        widget=forms.RadioSelect,
        help_text=_("Once, at the next poll. What counts as collected is not fetched and stays there"),
    )
    since = forms.CharField(
        label=_("Collect since"),
        required=False,
        max_length=10,
        widget=forms.DateInput(attrs={"class": "field medium", "type": "date"}),
    )
    met = forms.CharField(required=False, widget=forms.HiddenInput)
    """What was said of these letters when the form was made: a poll may have done it since."""
    other_mailbox = forms.BooleanField(
        label=_("This is another mailbox: collect everything that lies there"),
        required=False,
        help_text=_("Unless it is ticked, letters collected under another address of this mailbox are recognised"),
    )
    same_mailbox = forms.CharField(
        label=_("The same mailbox as"),
        required=False,
        widget=forms.Select(attrs={"class": "field"}),
        help_text=_("No rule reads it any more. If it is the same mailbox, letters collected there are recognised"),
    )

    def __init__(
        self, data: QueryDict | None, *, stored: FetchRule | None, initial: dict[str, object], administers: bool
    ) -> None:
        """`administers`: whoever fills it in may lift the restriction."""
        since = collected_since(stored) if stored else None
        passing = stored is not None and is_to_be_passed(stored)
        present = Present.SINCE if since else Present.NONE if passing else Present.ALL
        public_only = stored is not None and stored.restricted
        first = {"present": present, "since": str(since or ""), "met": _met(present, since)}
        super().__init__(data, initial=initial | first | {"public_only": public_only})
        self.fields["since"].widget.attrs["aria-label"] = self.fields["since"].label
        if not administers:
            del self.fields["public_only"]
        self.stored = stored
        self.offers: list[Orphan] = []

    def draft(self) -> Rule:
        """The rule as far as the fields can be read."""
        raise NotImplementedError

    @property
    def restricted(self) -> bool | None:
        """What an administrator says of the restriction; None: they are none."""
        return bool(self.cleaned_data["public_only"]) if "public_only" in self.fields else None

    @property
    def passes_present(self) -> bool:
        """Whether all that lies there is to count as collected."""
        return bool(self.cleaned_data.get("present") == Present.NONE)

    @property
    def since_day(self) -> date | None:
        """The day since which letters are to be collected."""
        day = self.cleaned_data.get("since")
        return day if isinstance(day, date) else None

    def clean_since(self) -> date | None:
        """The day, where that is chosen."""
        if self.cleaned_data.get("present") != Present.SINCE:
            return None
        day = read_day(self.cleaned_data["since"], timezone.localdate())
        if isinstance(day, Code):
            raise forms.ValidationError(explain(Problem(day, field="since")))
        return day

    def saving_choices(self) -> SavingChoices:
        """What is said beside the rule itself."""
        data = self.cleaned_data
        chosen = data.get("same_mailbox")
        again = _met(data["present"], self.since_day)
        said_before = bool(again) and data["met"] == again and self._reads_the_same
        return {
            "restricted": self.restricted,
            # A new rule says nothing of what was said of its mailbox before.
            "pass_present": None if said_before else self.passes_present or (None if self.stored is None else False),
            "since": None if said_before else self.since_day,
            "other_mailbox": data["other_mailbox"],
            "same_mailbox": int(chosen) if chosen else None,
        }

    @property
    def _reads_the_same(self) -> bool:
        """Whether the rule that is being changed goes on to read the same mailboxes for the same recipient."""
        if self.stored is None:
            return False
        before, after = self.stored.as_rule(MASK), self.draft()
        return before.recipient == after.recipient and set(sources_of(before)) == set(sources_of(after))

    @property
    def renamed(self) -> str:
        """What becomes of the ledger if the rule that is being changed logs in elsewhere; empty if it does not."""
        if self.stored is None or not self.is_bound:
            return ""
        before = source_of(self.stored.source).account
        return "" if account_of(self.draft()) == before else renamed(before, other_mailbox=False)

    @property
    def recognises(self) -> bool:
        """Whether the rule, once it is saved, goes on with the ledger of another name."""
        if self.stored is None:
            return bool(self.cleaned_data.get("same_mailbox"))
        return bool(self.renamed) and not self.cleaned_data.get("other_mailbox")

    @property
    def continued(self) -> str:
        """The ledger that the one of the rule that is being changed goes on with, in words; empty if there is none."""
        former = former_of(self.stored.source) if self.stored else []
        return continued(source_of(former[0]).account) if former else ""

    def check_passing(self, wanted: Rule) -> None:
        """Refuse to count as collected what `wanted` could not remember, or would delete."""
        fault = passing_fault(wanted) if self.passes_present else None
        if fault is not None:
            self.add_error("present", explain(Problem(fault, field="present")))

    def offer(self, rule: Rule) -> None:
        """Offer a new rule the ledgers of its recipient that no rule reads."""
        self.offers = offered_to(rule)
        choices = [(str(one.name), with_letters(one.ledger.account, one.letters)) for one in self.offers]
        widget: Any = self.fields["same_mailbox"].widget
        widget.choices = [("", gettext("None: it is another mailbox")), *choices]

    def require_choice(self, chosen: str) -> None:
        """Whoever saves a new rule has seen the ledgers that it may go on with; a test of the connection needs no choice."""
        names = {str(one.name) for one in self.offers}
        if names and not {"same_mailbox", "test"} & self.data.keys():
            words = gettext(
                "Mail was collected for this local mailbox before. Choose whether it is the same, and save."
            )
            self.add_error("same_mailbox", words)
        elif chosen and chosen not in names:
            self.refuse(LedgerTaken())

    def refuse(self, refusal: Refusal) -> None:
        """Say what the rule book has against it."""
        for name, words in complaints(refusal):
            self.add_error(name if name in self.fields else None, words)
