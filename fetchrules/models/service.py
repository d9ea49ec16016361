"""The service itself: its settings, heartbeats, incidents and notices, revisions of the text, and the audit."""

import secrets
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fetchrules.models.rule import FetchRule


class Revision(models.Model):
    """The rule text as it was after one change, passwords masked; the passwords themselves are sealed beside it, for undo.

    `restricted`: the places in the text, from 0, of the rules that were restricted; None: nobody noted it.
    """

    created_at = models.DateTimeField(default=timezone.now)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    version = models.PositiveBigIntegerField()
    note = models.CharField(max_length=200, blank=True, default="")
    text = models.TextField()
    passwords = models.JSONField(default=list)
    restricted = models.JSONField(null=True, blank=True, default=None)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} {self.created_at:%Y-%m-%d %H:%M}"


class AuditEntry(models.Model):
    """Who changed what, when. `what` is a stable word, `about` names the object, `detail` never holds a secret."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    who = models.CharField(max_length=150, blank=True, default="")
    what = models.CharField(max_length=32)
    about = models.CharField(max_length=400, blank=True, default="")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering: ClassVar = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.who} {self.what}"


class Incident(models.Model):
    """A time in which a rule did not collect, or (`rule` None) a channel or this machine did not work.

    Each channel reports it once when it opens and once when it closes. `error`: the code of the failure, or the name of the
    channel. `detail`: what the system said.
    """

    class Kind(models.TextChoices):
        FAILING = "failing", _("its polls fail one after another")
        STARVED = "starved", _("it has not succeeded for long")
        CHANNEL = "channel", _("notices do not get through")
        LOCAL = "local", _("a fault of this machine")

    rule = models.ForeignKey(FetchRule, models.CASCADE, null=True, blank=True, related_name="incidents")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    error = models.CharField(max_length=32, blank=True, default="")
    detail = models.CharField(max_length=200, blank=True, default="")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering: ClassVar = ["-opened_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule"], condition=Q(closed_at=None), name="one_open_incident_per_rule"),
            models.UniqueConstraint(
                fields=["kind", "error"], condition=Q(closed_at=None, rule=None), name="one_open_incident_of_our_own"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule or self.error} {self.opened_at:%Y-%m-%d %H:%M}"


class Channel(models.Model):
    """A way by which notices go out, and whether it works. `failures`: so many running, since `failing_since`."""

    class Name(models.TextChoices):
        MAIL = "mail", _("E-mail")
        WEBHOOK = "webhook", _("Webhook")

    name = models.CharField(max_length=7, choices=Name.choices, unique=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    detail = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("channel of notices")
        verbose_name_plural = _("channels of notices")

    def __str__(self) -> str:
        return self.name


class Notice(models.Model):
    """When a channel has reported the beginning and the end of an incident."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="notices")
    channel = models.CharField(max_length=7, choices=Channel.Name.choices)
    begun_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "channel"], name="one_notice_per_incident_and_channel")
        ]

    def __str__(self) -> str:
        return f"{self.incident} {self.channel}"


class Attempt(models.Model):
    """An attempt that counts against a limit. It is written before it is examined, and deleted if it was good.

    `who` is the folded name, `place` the address, of IPv6 its /64.
    """

    class What(models.TextChoices):
        PASSWORD = "password", _("entering one's own password")
        TRIAL = "trial", _("testing a connection")

    at = models.DateTimeField()
    what = models.CharField(max_length=8, choices=What.choices)
    who = models.CharField(max_length=150)
    place = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        verbose_name = _("counted attempt")
        verbose_name_plural = _("counted attempts")
        indexes: ClassVar = [models.Index(fields=["what", "at"], name="recent_attempts")]

    def __str__(self) -> str:
        return f"{self.what} {self.who} {self.at:%Y-%m-%d %H:%M:%S}"


class Heartbeat(models.Model):
    """When a part of the service was last heard from. `part` is worker or beat, `host` the machine and process.

    `slots`: how many polls a worker does at a time. `dropped`: how many foreign messages it has dropped.
    """

    part = models.CharField(max_length=8)
    host = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    slots = models.PositiveIntegerField(null=True, blank=True)
    dropped = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("sign of life")
        verbose_name_plural = _("signs of life")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["part", "host"], name="one_heartbeat_per_part_and_host")
        ]

    def __str__(self) -> str:
        return f"{self.part} {self.host}"


def _new_installation() -> str:
    return secrets.token_hex(4)


class ServiceSettings(models.Model):
    """The one row of settings that administrators change in the panel. `text_version` counts changes of the rule text.

    `installation` names this database among others that share a broker. `tidied_at`: when the last housekeeping was;
    `clock_since`: since when housekeepings have followed each other regularly.
    """

    running = models.BooleanField(_("service runs"), default=True)
    stopped_by = models.CharField(max_length=150, blank=True, default="")
    stopped_at = models.DateTimeField(null=True, blank=True)
    interval = models.PositiveIntegerField(_("poll interval, minutes"), default=10)
    local_domains = models.TextField(_("local domains"), blank=True, default="")
    alert_addresses = models.TextField(_("alert addresses"), blank=True, default="")
    alert_webhook = models.URLField(_("alert webhook"), blank=True, default="")
    webhook_internal = models.BooleanField(_("the webhook may lead to an internal address"), default=False)
    alert_after_failures = models.PositiveIntegerField(default=3)
    alert_after_hours = models.PositiveIntegerField(default=24)
    journal_days = models.PositiveIntegerField(_("keep the journal for, days"), default=90)
    per_host = models.PositiveIntegerField(_("connections to one server at a time"), default=10)
    owner_rules = models.PositiveIntegerField(_("rules per mailbox owner"), default=10)
    owner_networks = models.TextField(_("networks that owners may also connect to"), blank=True, default="")
    text_start = models.CharField(max_length=1, blank=True, default="")
    text_tail = models.TextField(blank=True, default="")
    text_version = models.PositiveBigIntegerField(default=0)
    installation = models.CharField(max_length=8, default=_new_installation, editable=False)
    tidied_at = models.DateTimeField(null=True, blank=True, editable=False)
    clock_since = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("service settings")
        verbose_name_plural = _("service settings")
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_row_of_settings")]

    def __str__(self) -> str:
        return str(_("service settings"))

    @classmethod
    def current(cls) -> "ServiceSettings":
        """The row, made with its defaults where there is none yet."""
        return cls.objects.get_or_create(id=1)[0]

    @property
    def queue(self) -> str:
        """The name of the queue in which tasks wait, and the beginning of every other name that we use in the broker."""
        return f"utm-mail.{self.installation}"

    def is_local(self, recipient: str) -> bool:
        """Whether the address is in one of the local domains. If none are set, every address is local."""
        domains = self.local_domains.lower().split()
        return not domains or recipient.rpartition("@")[2].lower() in domains

    @property
    def only_domain(self) -> str:
        """The local domain that completes an address without one; empty unless exactly one is set."""
        domains = self.local_domains.split()
        return domains[0] if len(domains) == 1 else ""

    @classmethod
    def advance_text(cls, version: int) -> bool:
        """Count a change of the text that was seen at `version`; False when somebody else has changed it since."""
        return bool(cls.objects.filter(id=1, text_version=version).update(text_version=F("text_version") + 1))
