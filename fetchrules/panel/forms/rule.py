"""The form of one rule."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.panel.forms.beside import SaidBeside
from fetchrules.panel.forms.provider import ProviderSelect, with_provider
from fetchrules.panel.forms.rule_layout import rule_layout
from fetchrules.panel.forms.treatment import CHOICES, WORDS, Treatment, treatment_of
from fetchrules.rule import (
    BOUNDS,
    MASK,
    MAX_LENGTHS,
    OCTET_SUFFIXES,
    Encryption,
    Protocol,
    Rule,
)
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import keeps_password
from fetchrules.ruletext.validate import problems_of
from fetchrules.words.providers import PROVIDERS
from fetchrules.words.ruletext import explain

BLANK = Rule("", Protocol.POP3, "", MASK, "", encryption=Encryption.SSL)
"""What a new rule starts from."""
UNASKED = _("With “STARTTLS if offered”, any certificate is accepted until one has verified")
_UNKNOWN = "…"
"""Stands in the preview for what has not been filled in yet."""


def _number(name: str, label: Any, css: str = "short", **kwargs: Any) -> forms.IntegerField:
    minimum, maximum = BOUNDS[name]
    widget = forms.NumberInput(attrs={"class": f"field {css}"})
    return forms.IntegerField(
        label=label, required=False, min_value=minimum, max_value=maximum, widget=widget, **kwargs
    )


class RuleForm(SaidBeside):
    """A rule's fields. `initial` is the rule as it is (BLANK for a new one); the password is asked for, never shown."""

    provider = forms.ChoiceField(
        label=_("Mail service"),
        required=False,
        choices=[("", _("Another one (enter it below)")), *((p.key, p.name) for p in PROVIDERS)],
        widget=ProviderSelect(attrs={"class": "field"}),
        help_text=_("For a known service, server and port fill themselves in"),
    )
    server = forms.CharField(
        label=_("Server"),
        max_length=MAX_LENGTHS["server"],
        required=False,
        widget=forms.TextInput(attrs={"class": "field", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=_("IP address or domain name. Example: mailserver.ru"),
    )
    protocol = forms.ChoiceField(
        label=_("Protocol"),
        choices=[(p.value, p.value.upper()) for p in Protocol],
        widget=forms.Select(attrs={"class": "field short"}),
    )
    encryption = forms.ChoiceField(
        label=_("Encryption"),
        choices=[
            (Encryption.SSL.value, "SSL/TLS"),
            (Encryption.STARTTLS.value, "STARTTLS"),
            (Encryption.AUTO.value, _("STARTTLS if offered")),
            (Encryption.PLAINTEXT.value, _("none")),
        ],
        widget=forms.Select(attrs={"class": "field encryption"}),
    )
    port = _number("port", _("Port"), help_text=_("Empty: the usual one (POP3 110 or 995, IMAP 143 or 993)"))
    sslcertck = forms.BooleanField(label=_("Verify the server's certificate"), required=False, help_text=UNASKED)
    sslfingerprint = forms.CharField(
        label=_("Pinned certificate"),
        required=False,
        widget=forms.TextInput(attrs={"class": "field wide mono", "spellcheck": "false", "autocapitalize": "none"}),
        help_text=_("SHA-256 of the one certificate to accept, 64 hexadecimal digits"),
    )
    user = forms.CharField(
        label=_("Login"),
        max_length=MAX_LENGTHS["user"],
        strip=False,
        widget=forms.TextInput(
            attrs={"class": "field", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
        help_text=_("As the remote server wants it: often the whole address. Example: petrov"),
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=MAX_LENGTHS["password"],
        strip=False,
        required=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "new-password"}),
        help_text=_("Stored encrypted and never shown. Many services want an app password"),
    )
    recipient = forms.CharField(
        label=_("Local mailbox"),
        max_length=MAX_LENGTHS["recipient"],
        widget=forms.TextInput(attrs={"class": "field", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=_("Where letters go. Example: i.petrov@mydomain.ru"),
    )
    treatment = forms.ChoiceField(label=_("What to do with letters"), choices=CHOICES, widget=forms.RadioSelect)
    keepdays = _number("keepdays", _("Days on the server"))
    keep = forms.BooleanField(label="keep", required=False)
    flush = forms.BooleanField(label="flush", required=False)
    fetchall = forms.BooleanField(label="fetchall", required=False)
    interval = _number(
        "interval", _("Poll every"), help_text=_("5–15 minutes are recommended. Empty: as in the settings")
    )
    enabled = forms.BooleanField(label=_("The rule is on"), required=False)
    limit = forms.IntegerField(
        label=_("Do not fetch letters larger than"),
        required=False,
        min_value=1,
        max_value=BOUNDS["limit"][1],
        widget=forms.NumberInput(attrs={"class": "field short"}),
        help_text=_("Larger ones stay on the server, stay new, and are shown here"),
    )
    limit_unit = forms.ChoiceField(
        label=_("Unit"),
        required=False,
        choices=[("m", _("MB")), ("k", _("KB")), ("g", _("GB")), ("", _("octets"))],
        widget=forms.Select(attrs={"class": "field short"}),
    )
    fetchlimit = _number(
        "fetchlimit", _("Letters in one poll at most"), help_text=_("The next poll goes on with the rest")
    )
    timeout = _number("timeout", _("Wait for the server"), help_text=_("Empty: 60 seconds"))
    uidl = forms.BooleanField(
        label=_("Ignore the server's “read” marks"),
        required=False,
        help_text=_("IMAP: only what was collected here counts as old"),
    )
    folders = forms.CharField(
        label=_("IMAP folders"),
        required=False,
        widget=forms.Textarea(attrs={"class": "field", "rows": 3, "spellcheck": "false"}),
        help_text=_("One in a line. Empty: INBOX"),
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        rule: Rule = BLANK,
        stored: FetchRule | None = None,
        pasted: Rule | None = None,
        fixed_recipient: str = "",
        administers: bool = False,
    ) -> None:
        """`rule` is what a new rule starts from, `stored` what is being changed instead; `pasted` a line whose password is at hand.

        `fixed_recipient` is the one local mailbox that the user may deliver into. `administers`: they may lift the restriction.
        """
        self.rule = stored.as_rule(MASK) if stored else rule
        self.is_new = stored is None
        self.pasted = pasted
        super().__init__(data, stored=stored, initial=_initial(self.rule), administers=administers)
        if placeholder := self._placeholder():
            self.fields["password"].widget.attrs["placeholder"] = placeholder
        if fixed_recipient:
            self.fields["recipient"].disabled = True
            self.initial["recipient"] = fixed_recipient
        self.fields["keepdays"].widget.attrs["aria-label"] = self.fields["keepdays"].label
        if self.is_new and not self.is_bound:
            self.offer(replace(self.rule, recipient=self.initial["recipient"]))
        self.helper = rule_layout(administers=administers)

    @property
    def stored_password(self) -> bool:
        """Whether there is a password to keep."""
        return self.stored is not None and bool(self.stored.password)

    def _placeholder(self) -> str:
        """What the empty field of the password stands for."""
        if self.stored_password:
            return gettext("•••••••• (keep the stored one)")
        return gettext("•••••••• (the one of the pasted line)") if self.pasted else ""

    @property
    def own_treatment(self) -> bool:
        """Whether keep, flush and fetchall are said one by one."""
        return bool(self["treatment"].value() == Treatment.OWN)

    @property
    def words(self) -> list[forms.BoundField]:
        """The three raw options."""
        return [self["keep"], self["flush"], self["fetchall"]]

    def clean_sslfingerprint(self) -> str:
        """Colons and blanks do not count, nor does case."""
        return "".join(str(self.cleaned_data["sslfingerprint"]).replace(":", "").split()).lower()

    def clean_folders(self) -> tuple[str, ...]:
        """One in a line."""
        return tuple(line.strip() for line in str(self.cleaned_data["folders"]).splitlines() if line.strip())

    def clean(self) -> dict[str, Any]:
        """What the fields may not be together, by the same checks as a rule line."""
        data = with_provider(super().clean() or self.cleaned_data)
        if self.pasted and data.get("password", "") in {"", MASK} and keeps_password(self.pasted, self.draft()):
            data["password"] = self.pasted.password
        if self.is_new:
            self.offer(self.draft())
        self._require(data)
        if self.errors:
            return data
        wanted = self.draft()
        for problem in problems_of(wanted):
            if problem.is_error and problem.field != "password":
                self.add_error(problem.field or None, explain(problem))
        if wanted.recipient != self.rule.recipient and not _is_local(wanted.recipient):
            self.add_error("recipient", explain(Problem(Code.RECIPIENT_NOT_LOCAL, field="recipient")))
        self.check_passing(wanted)
        if wanted.password == MASK and not (self.is_new or keeps_password(self.rule, wanted)):
            self.add_error("password", gettext("Server, login or encryption were changed: enter the password again."))
        return data

    def _require(self, data: Mapping[str, Any]) -> None:
        """What only the other fields make necessary: all of it is said at once."""
        if not data.get("server") and "server" not in self.errors:
            self.add_error("server", self.fields["server"].error_messages["required"])
        if data.get("treatment") == Treatment.DAYS and not data.get("keepdays") and "keepdays" not in self.errors:
            self.add_error("keepdays", gettext("Say for how many days."))
        if not self.stored_password and data.get("password", "") in {"", MASK} and "password" not in self.errors:
            self.add_error("password", gettext("Enter the password."))
        self.require_choice(data.get("same_mailbox", ""))

    def draft(self) -> Rule:
        """The rule as far as the fields can be read; what is missing or wrong stands as `…`, a password not given as MASK."""
        data = self.cleaned_data
        treatment = Treatment(data.get("treatment") or Treatment.OWN)
        keep, flush, fetchall = WORDS.get(treatment, (data.get("keep"), data.get("flush"), data.get("fetchall")))
        limit, unit = data.get("limit"), data.get("limit_unit", "")
        return Rule(
            server=str(data.get("server") or _UNKNOWN).strip().removeprefix("[").removesuffix("]"),
            protocol=Protocol(data.get("protocol") or Protocol.POP3),
            user=data.get("user") or _UNKNOWN,
            password=data.get("password") or MASK,
            recipient=str(data.get("recipient") or _UNKNOWN).strip(),
            keep=bool(keep),
            flush=bool(flush),
            fetchall=bool(fetchall),
            encryption=Encryption(data.get("encryption") or Encryption.AUTO),
            sslcertck=bool(data.get("sslcertck")),
            sslfingerprint=data.get("sslfingerprint", ""),
            port=data.get("port"),
            uidl=bool(data.get("uidl")),
            folders=data.get("folders", ()),
            limit=None if limit is None else limit * OCTET_SUFFIXES[unit],
            fetchlimit=data.get("fetchlimit"),
            interval=data.get("interval"),
            timeout=data.get("timeout"),
            keepdays=data.get("keepdays") if treatment in (Treatment.DAYS, Treatment.OWN) else None,
            skip=not data.get("enabled"),
        )

    def shown(self) -> Rule:
        """What the page is about: the rule as it is, or the draft; never with a password."""
        if self.is_bound:
            return replace(self.draft(), password=MASK)
        rule = self.rule
        return replace(
            rule,
            server=rule.server or _UNKNOWN,
            user=rule.user or _UNKNOWN,
            recipient=self.initial["recipient"] or _UNKNOWN,
            password=MASK,
        )


def _is_local(recipient: str) -> bool:
    """Whether the local mailbox is in one of the local domains, if any are set."""
    domains = ServiceSettings.current().local_domains.lower().split()
    return not domains or recipient.rpartition("@")[2].lower() in domains


def _initial(rule: Rule) -> dict[str, object]:
    limit, unit = _in_unit(rule.limit)
    return {
        "server": rule.server,
        "protocol": rule.protocol.value,
        "encryption": rule.encryption.value,
        "port": rule.port,
        "sslcertck": rule.sslcertck,
        "sslfingerprint": rule.sslfingerprint,
        "user": rule.user,
        "recipient": rule.recipient,
        "treatment": treatment_of(rule).value,
        "keepdays": rule.keepdays,
        "keep": rule.keep,
        "flush": rule.flush,
        "fetchall": rule.fetchall,
        "interval": rule.interval,
        "enabled": not rule.skip,
        "limit": limit,
        "limit_unit": unit,
        "fetchlimit": rule.fetchlimit,
        "timeout": rule.timeout,
        "uidl": rule.uidl,
        "folders": "\n".join(rule.folders),
    }


def _in_unit(octets: int | None) -> tuple[int | None, str]:
    """`octets` in the largest unit that divides them."""
    if octets is None:
        return None, "m"
    return next((octets // size, unit) for unit, size in reversed(OCTET_SUFFIXES.items()) if octets % size == 0)
