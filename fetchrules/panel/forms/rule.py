"""The form of one rule."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field as Drawn
from crispy_forms.layout import Fieldset, Layout, LayoutObject
from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.panel.forms.crispy import Advanced, Former, Joined
from fetchrules.panel.forms.saving import SavingForm
from fetchrules.panel.forms.treatment import CHOICES, WORDS, Treatment, treatment_of
from fetchrules.rule import (
    BOUNDS,
    DEFAULT_PORTS,
    FIELDS,
    MASK,
    MAX_LENGTHS,
    OCTET_SUFFIXES,
    STORED,
    Auth,
    Encryption,
    Field,
    Protocol,
    Rule,
    Section,
    Unit,
)
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import keeps_password
from fetchrules.ruletext.validate import plain_fingerprint, problems_of
from fetchrules.words.names import way_name
from fetchrules.words.providers import PROVIDERS, provider_named
from fetchrules.words.ruletext import explain

BLANK = Rule(**{name: field.initial for name, field in FIELDS.items()})  # type: ignore[arg-type]  # a test has the types checked
"""What a new rule starts from."""

SECTIONS: dict[Section, str | Promise] = {
    Section.SERVER: _("Remote server"),
    Section.ACCOUNT: _("Account"),
    Section.DELIVERY: _("Delivery"),
    Section.TREATMENT: _("Treatment of letters"),
    Section.SCHEDULE: _("Schedule"),
    Section.ADVANCED: _("Limits, folders, pinned certificate, way to log in"),
}

UNASKED = _("With “STARTTLS if offered”, any certificate is accepted until one has verified")
_UNKNOWN = "…"
"""Stands in the preview for what has not been filled in yet."""


def _number(name: str, label: Any, css: str = "short", **kwargs: Any) -> forms.IntegerField:
    minimum, maximum = BOUNDS[name]
    widget = forms.NumberInput(attrs={"class": f"field {css}"})
    return forms.IntegerField(
        label=label, required=False, min_value=minimum, max_value=maximum, widget=widget, **kwargs
    )


def _ways() -> list[tuple[str, str]]:
    """In the language of whoever looks."""
    return [
        (auth.value, way_name(auth.way) if auth.way else gettext("the best that the server offers")) for auth in Auth
    ]


class ProviderSelect(forms.Select):
    """The mail services, each option with the servers that it fills in."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        if provider := provider_named(str(value)):
            option["attrs"] |= {f"data-{protocol}": host for protocol, host in provider.hosts.items()}
            option["attrs"] |= {"data-encryption": provider.encryption.value, "data-hint": str(provider.login)}
        return option


class RuleForm(SavingForm):
    """A rule's fields, in the order in which they are asked for.

    `initial` is the rule as it is (BLANK for a new one); the password is asked for, never shown.
    """

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
    into = forms.CharField(
        label=_("Folder of the local mailbox"),
        max_length=MAX_LENGTHS["into"],
        required=False,
        widget=forms.TextInput(attrs={"class": "field", "spellcheck": "false"}),
        help_text=_("Levels are parted by “/”. Example: Collected/Bank. Empty: the usual one"),
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
    limit = _number(
        "limit",
        _("Do not fetch letters larger than"),
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
    folders = forms.CharField(
        label=_("IMAP folders"),
        required=False,
        widget=forms.Textarea(attrs={"class": "field", "rows": 3, "spellcheck": "false"}),
        help_text=_("One in a line. Empty: INBOX. “Spam → Junk” puts letters of one folder into another here"),
    )
    uidl = forms.BooleanField(
        label=_("Ignore the server's “read” marks"),
        required=False,
        help_text=_("IMAP: only what was collected here counts as old"),
    )
    flags = forms.BooleanField(
        label=_("Keep the letters' marks"),
        required=False,
        help_text=_("IMAP: letters that are read, flagged or answered on the server are so in the local mailbox"),
    )
    sslfingerprint = forms.CharField(
        label=_("Pinned certificates"),
        required=False,
        widget=forms.Textarea(
            attrs={"class": "field wide mono", "rows": 2, "spellcheck": "false", "autocapitalize": "none"}
        ),
        help_text=_("SHA-256 of the only certificates to accept, 64 hexadecimal digits; one in a line, three at most"),
    )

    auth = forms.ChoiceField(
        label=_("Way to log in"),
        required=False,
        choices=_ways,
        widget=forms.Select(attrs={"class": "field"}),
        help_text=_("For a server that offers a way in which its logins fail. APOP is POP3's"),
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
        usual = {f"data-{protocol}{'s' * implicit}": port for (protocol, implicit), port in DEFAULT_PORTS.items()}
        self.fields["port"].widget.attrs |= usual
        self.helper = _helper(self)

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
        return [self["keep"], self["flush"], self["fetchall"]]

    def clean_server(self) -> str:
        """An IPv6 address may stand in brackets."""
        return str(self.cleaned_data["server"]).removeprefix("[").removesuffix("]")

    def clean_sslfingerprint(self) -> tuple[str, ...]:
        lines = (
            plain_fingerprint("".join(line.split())) for line in str(self.cleaned_data["sslfingerprint"]).splitlines()
        )
        return tuple(dict.fromkeys(line for line in lines if line))

    def clean_folders(self) -> tuple[tuple[str, str], ...]:
        """Each folder with the local one behind its arrow, or with an empty text."""
        lines = (line.strip() for line in str(self.cleaned_data["folders"]).splitlines())
        return tuple(
            (of.strip(), name.strip())
            for of, _arrow, name in (_ARROW.sub("→", line).partition("→") for line in lines if line)
        )

    def clean(self) -> dict[str, Any]:
        """What the fields may not be together, by the same checks as a rule line."""
        data = _with_provider(super().clean() or self.cleaned_data)
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
        if wanted.recipient != self.rule.recipient and not ServiceSettings.current().is_local(wanted.recipient):
            self.add_error("recipient", explain(Problem(Code.RECIPIENT_NOT_LOCAL, field="recipient")))
        self.check_passing(wanted)
        if wanted.password == MASK and not (self.is_new or keeps_password(self.rule, wanted)):
            self.add_error(
                "password",
                gettext("Server, login or protection were changed: enter the password again."),
            )
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
        data = self.cleaned_data | self._folders()
        values = {name: _read(field, data.get(field.column)) for name, field in FIELDS.items()}
        treatment = Treatment(data.get("treatment") or Treatment.OWN)
        if treatment is not Treatment.OWN:
            values["keep"], values["flush"], values["fetchall"] = WORDS[treatment]
        if treatment not in (Treatment.DAYS, Treatment.OWN):
            values["keepdays"] = None
        if values["limit"] is not None:
            values["limit"] *= OCTET_SUFFIXES[data.get("limit_unit", "")]
        return Rule(**values)

    def _folders(self) -> dict[str, Any]:
        """The folders there, and those here: what is entered for the whole rule holds for each folder without one of its own."""
        folders, into = self.cleaned_data.get("folders") or (), str(self.cleaned_data.get("into") or "").strip()
        pairs = [(of, name or into) for of, name in folders or [("", into)]]
        return {"folders": [of for of, _ in folders], "into": [pair for pair in pairs if pair[1]]}

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


def _read(field: Field, said: Any) -> Any:
    """The value of `field` for what its input says; nothing: as in a new rule where a rule must say it, else the default."""
    if field.type is bool:
        return field.from_column(bool(said))
    if said in (None, ""):
        return (field.initial or _UNKNOWN) if field.is_required else field.default
    return field.from_column(said)


def _initial(rule: Rule) -> dict[str, object]:
    limit, unit = _in_unit(rule.limit)
    return {
        **{field.column: field.to_column(getattr(rule, field.name)) for field in STORED},
        "treatment": treatment_of(rule).value,
        "limit": limit,
        "limit_unit": unit,
        "folders": "\n".join(with_arrow(folder, dict(rule.into).get(folder, "")) for folder in rule.folders),
        "into": rule.local_folder("") if not rule.folders else "",
        "sslfingerprint": "\n".join(rule.sslfingerprint),
    }


_ARROW = re.compile(r"\s->\s|\s→\s")


def with_arrow(folder: str, into: str) -> str:
    """A line of the field “IMAP folders”: a folder there, and the one here, if it is not the usual one."""
    return f"{folder} → {into}" if into else folder


def _in_unit(octets: int | None) -> tuple[int | None, str]:
    """`octets` in the largest unit that divides them."""
    if octets is None:
        return None, "m"
    return next((octets // size, unit) for unit, size in reversed(OCTET_SUFFIXES.items()) if octets % size == 0)


def _with_provider(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with the server of the mail service that was chosen, where none was entered."""
    provider = provider_named(data.get("provider", ""))
    if not provider or data.get("server"):
        return data
    asked = Protocol(data.get("protocol") or Protocol.POP3)
    protocol = asked if asked in provider.hosts else Protocol.IMAP
    data |= {
        "server": provider.hosts[protocol],
        "protocol": protocol.value,
        "encryption": provider.encryption.value,
    }
    return data


_TAILS: dict[Unit | None, str | Promise] = {Unit.MINUTES: _("min"), Unit.SECONDS: _("s")}
"""Stand behind a number that counts these."""

_ROWS: dict[str, LayoutObject | None] = {
    "protocol": Joined(_("Protocol, encryption, port"), "protocol", "encryption", "port", css_id="connection"),
    "encryption": None,
    "port": None,
    "keepdays": Drawn("treatment", template="utm/treatment.html"),
    "keep": None,
    "flush": None,
    "fetchall": None,
    "limit": Joined(_("Do not fetch letters larger than"), "limit", "limit_unit", css_id="limit"),
}
"""How fields are drawn that have no row like the others; None: in the row of another."""


def _helper(form: RuleForm) -> FormHelper:
    """The sections, each with its fields in the order of the form, and with what is asked beside the rule."""
    order = list(form.fields)
    fields = sorted(FIELDS.values(), key=lambda field: order.index(field.column))
    rows = {section: [*_rows(form, [field for field in fields if field.section is section])] for section in Section}
    rows[Section.SERVER] = ["provider", *rows[Section.SERVER], *(["public_only"] if "public_only" in order else [])]
    rows[Section.DELIVERY].append(Former())
    rows[Section.TREATMENT].append(Drawn("present", template="utm/present.html"))
    advanced = [field.column for field in fields if field.section is Section.ADVANCED]
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    helper.layout = Layout(
        *(Fieldset(title, *rows[section]) for section, title in SECTIONS.items() if section is not Section.ADVANCED),
        Advanced(SECTIONS[Section.ADVANCED], *rows[Section.ADVANCED], names=tuple(advanced)),
    )
    return helper


def _rows(form: RuleForm, fields: list[Field]) -> Iterator[LayoutObject | str]:
    for field in fields:
        name = field.column
        if name in _ROWS:
            yield from filter(None, (_ROWS[name],))
        elif field.unit in _TAILS:
            yield Joined(form.fields[name].label or name, name, css_id=name, tail=_TAILS[field.unit])
        else:
            yield name
