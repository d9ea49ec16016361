"""Rules and the remote mailboxes that they read."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fetchrules.errors import harmless
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import STORED, Auth, Encryption, Protocol, Rule
from fetchrules.schedule import NextReason


class SourceMailbox(models.Model):
    """A remote mailbox and the recipient for whom the ledger knows its letters. Not the rule: one that is deleted and made again
    finds its ledger.

    `port` is 0 for the protocol's two standard ports, so that switching TLS on does not start another ledger. `recipient` is the
    local address, folded (`address_key`). `pass_present`: at its next poll, what lies there counts as collected; `since`: what
    arrived before that day does. `continues`: the ledger of the same mailbox under the name that it had before.

    `listed_at` and `lived` count the seconds that successful polls have lived through. `ask_last`: the unique-id of the letter over
    which the server gave up. `heads_broke_at`: when a session broke over headers that were asked for alone. `settled`: what the
    last poll found, if it left nothing to do (`ledger.settled`). `touched` counts the decisions of people over its letters.
    """

    protocol = models.CharField(max_length=4, choices=[(p.value, p.value.upper()) for p in Protocol])
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=0)
    user = models.CharField(max_length=255)
    folder = models.CharField(max_length=255, blank=True, default="")
    recipient = models.CharField(max_length=320)
    epoch = models.BigIntegerField(default=0)
    listed_at = models.DateTimeField(null=True, blank=True)
    lived = models.BigIntegerField(default=0)
    pass_present = models.BooleanField(default=False)
    since = models.DateField(null=True, blank=True)
    continues = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    ask_last = models.CharField(max_length=128, blank=True, default="")
    heads_broke_at = models.DateTimeField(null=True, blank=True)
    settled = models.JSONField(default=dict, blank=True)
    touched = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("source mailbox")
        verbose_name_plural = _("source mailboxes")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["protocol", "host", "port", "user", "folder", "recipient"], name="one_row_per_source"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["host"], name="sources_by_host")]

    def __str__(self) -> str:
        return harmless(f"{self.user}@{self.host}" + (f"/{self.folder}" if self.folder else ""))

    @property
    def account(self) -> tuple[str, str, int, str]:
        """The account that a session logs in to; folders and recipients may share it."""
        return (self.protocol, self.host, self.port, self.user)


class FetchedBefore(models.Model):
    """Names of letters of a mailbox that another collector has fetched. They wait for a complete listing, which has their sizes.

    On IMAP a name is UIDVALIDITY/UID.
    """

    source = models.OneToOneField(SourceMailbox, models.CASCADE, related_name="fetched_before")
    uids = models.JSONField(default=list)

    class Meta:
        verbose_name = _("letters fetched by another program")
        verbose_name_plural = _("letters fetched by other programs")

    def __str__(self) -> str:
        return str(self.source)


class RemoteHost(models.Model):
    """Facts about a server, from polls and from people. `host` is as in the rules, folded.

    `wrong_sizes`: somebody declared that the sizes it lists are not those of its letters. `list_at_once`: the number of letters
    in one command of a listing that worked. `shifted`: how often a known unique-id turned out to be another letter's.
    """

    host = models.CharField(max_length=253, unique=True)
    wrong_sizes = models.BooleanField(default=False)
    list_at_once = models.PositiveIntegerField(null=True, blank=True)
    shifted = models.PositiveIntegerField(default=0)
    shifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("remote server")
        verbose_name_plural = _("remote servers")

    def __str__(self) -> str:
        return self.host


class Pause(models.TextChoices):
    """Why a rule that is switched on is not polled."""

    NONE = "", _("not paused")
    FAILURE = "failure", _("paused after a failure that repeating cannot mend")
    BY_HAND = "by_hand", _("paused by hand")


class FetchRule(models.Model):
    """One rule: one remote mailbox, or some folders of it, into one local mailbox.

    Columns are the truth, text a view of them. `restricted`: it connects to public mail servers and the allowed networks only,
    whoever owns it now; set whenever somebody who is no administrator says where it connects to, or gets it, and cleared by an
    administrator alone. `owned`: it was given to an owner; if the owner is gone, it is not polled until somebody takes it over.
    `given_at`: when its owner got it from somebody else (null: it was always theirs). They do not see what happened before.
    `failing_since`: when it failed first since its last success, if it did. `failures`: how often since `counted_since`; they are
    counted anew after an edit and when somebody asks for a poll.
    """

    # Place in the text and own spelling. The password never stands in `line`.
    position = models.BigIntegerField(default=0, db_index=True)
    before = models.TextField(blank=True, default="")
    line = models.TextField(blank=True, default="")
    line_end = models.CharField(max_length=2, blank=True, default="\n")

    server = models.CharField(_("server"), max_length=253)
    protocol = models.CharField(
        _("protocol"), max_length=4, choices=[(p.value, p.value.upper()) for p in Protocol], default=Protocol.POP3
    )
    user = models.CharField(_("login"), max_length=255)
    password = models.TextField(_("password"), editable=False)
    recipient = models.CharField(_("local mailbox"), max_length=320)
    keep = models.BooleanField(default=False)
    flush = models.BooleanField(default=False)
    fetchall = models.BooleanField(default=False)
    encryption = models.CharField(
        _("encryption"), max_length=9, choices=[(e.value, e.value) for e in Encryption], default=Encryption.AUTO
    )
    sslcertck = models.BooleanField(_("verify certificate"), default=True)
    sslfingerprint = models.JSONField(_("pinned certificate"), default=list, blank=True)
    port = models.PositiveIntegerField(_("port"), null=True, blank=True)
    auth = models.CharField(
        _("way to log in"), max_length=32, choices=[(a.value, a.value) for a in Auth], default=Auth.ANY
    )
    uidl = models.BooleanField(default=False)
    flags = models.BooleanField(default=False)
    into = models.JSONField(_("local folders"), default=list, blank=True)
    folders = models.JSONField(_("folders"), default=list, blank=True)
    limit = models.BigIntegerField(null=True, blank=True)
    fetchlimit = models.PositiveIntegerField(null=True, blank=True)
    interval = models.PositiveIntegerField(null=True, blank=True)
    timeout = models.PositiveIntegerField(null=True, blank=True)
    keepdays = models.PositiveIntegerField(null=True, blank=True)
    enabled = models.BooleanField(_("on"), default=True)

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="fetch_rules"
    )
    owned = models.BooleanField(default=False)
    given_at = models.DateTimeField(null=True, blank=True, editable=False)
    restricted = models.BooleanField(_("public mail servers only"), default=False)
    source = models.ForeignKey(SourceMailbox, models.PROTECT, related_name="rules")
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(default=timezone.now, editable=False)

    # When it is polled next, and why then.
    next_poll_at = models.DateTimeField(_("next poll"), null=True, blank=True, default=timezone.now)
    next_reason = models.CharField(
        max_length=12, choices=[(r.value, r.value) for r in NextReason], default=NextReason.SAVED
    )
    pause = models.CharField(_("pause"), max_length=8, choices=Pause.choices, blank=True, default=Pause.NONE)
    paused_until = models.DateTimeField(null=True, blank=True)

    # The last result, so that the list is one query.
    last_run = models.ForeignKey("Run", models.SET_NULL, null=True, blank=True, related_name="+")
    last_polled_at = models.DateTimeField(_("last poll"), null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(_("failure"), max_length=32, blank=True, default="")
    last_detail = models.CharField(max_length=200, blank=True, default="")
    last_found = models.PositiveIntegerField(default=0)
    last_fetched = models.PositiveIntegerField(default=0)
    last_deleted = models.PositiveIntegerField(default=0)
    last_skipped = models.PositiveIntegerField(default=0)
    last_octets = models.BigIntegerField(default=0)
    last_left = models.JSONField(default=dict, blank=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    counted_since = models.DateTimeField(null=True, blank=True)
    tls_seen = models.CharField(
        _("encryption seen"), max_length=10, choices=[(t.value, t.value) for t in TlsLevel], default=TlsLevel.NONE
    )
    tls_version = models.CharField(max_length=16, blank=True, default="")

    class Meta:
        verbose_name = _("collection rule")
        verbose_name_plural = _("collection rules")
        ordering: ClassVar = ["position", "id"]
        permissions: ClassVar = [
            ("see_passwords", _("Can see and export passwords")),
            ("run_service", _("Can poll rules and start or stop the service")),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_poll_at"], name="due_rules", condition=Q(enabled=True, pause="")),
            models.Index(fields=["recipient"], name="rules_by_recipient"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(enabled=True, keep=False), name="one_deleting_rule_per_source"
            ),
            models.CheckConstraint(condition=~Q(server="") & ~Q(user="") & ~Q(recipient=""), name="rule_is_complete"),
            models.CheckConstraint(
                condition=Q(port__isnull=True) | Q(port__range=(1, 65535)), name="rule_port_is_a_port"
            ),
        ]

    OWNER_GONE: ClassVar = Q(owned=True) & (Q(owner=None) | Q(owner__is_active=False))
    """The account of its owner was deleted or deactivated."""

    def __str__(self) -> str:
        return harmless(f"{self.user}@{self.server} → {self.recipient}")

    def as_rule(self, password: str) -> Rule:
        """The rule as `ruletext` knows it, with `password` (or MASK) in it."""
        values = {field.name: field.from_column(getattr(self, field.column)) for field in STORED}
        return Rule(password=password, **values)
