"""What may exist: tables, constraints, indexes. What happens to them is decided elsewhere (`ledger`, `rulebook`)."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fetchrules.remote.mailbox import TlsLevel
from fetchrules.ruletext.spec import Encryption, Protocol, Rule


class SourceMailbox(models.Model):
    """A remote mailbox whose letters the ledger knows. Not the rule: a rule may change its recipient and keep its ledger.

    `port` is 0 for the protocol's two standard ports, so that switching TLS on does not start another ledger.
    """

    protocol = models.CharField(max_length=4, choices=[(p.value, p.value.upper()) for p in Protocol])
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=0)
    user = models.CharField(max_length=255)
    folder = models.CharField(max_length=255, blank=True, default="")
    epoch = models.BigIntegerField(default=0)
    listed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("source mailbox")
        verbose_name_plural = _("source mailboxes")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["protocol", "host", "port", "user", "folder"], name="one_row_per_source"),
        ]

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f"/{self.folder}" if self.folder else "")


class Pause(models.TextChoices):
    """Why a rule that is switched on is not polled."""

    NONE = "", _("not paused")
    FAILURE = "failure", _("paused after a failure that repeating cannot mend")
    BY_HAND = "by_hand", _("paused by hand")


class NextReason(models.TextChoices):
    """Why the next poll is when it is."""

    SAVED = "saved", _("the rule was saved")
    BY_HAND = "by_hand", _("asked for by hand")
    INTERVAL = "interval", _("the usual interval")
    BACKOFF = "backoff", _("waiting longer after a failure")
    SERVER_WAIT = "server_wait", _("the server asks to wait")
    OVERTAKEN = "overtaken", _("the last poll was interrupted")


class FetchRule(models.Model):
    """One rule: one remote mailbox, or some folders of it, into one local mailbox. Columns are the truth, text a view of them."""

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
    sslfingerprint = models.CharField(_("pinned certificate"), max_length=64, blank=True, default="")
    port = models.PositiveIntegerField(_("port"), null=True, blank=True)
    uidl = models.BooleanField(default=False)
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
    source = models.ForeignKey(SourceMailbox, models.PROTECT, related_name="rules")
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(default=timezone.now, editable=False)

    # When it is polled next, and why then.
    next_poll_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    next_reason = models.CharField(max_length=12, choices=NextReason.choices, default=NextReason.SAVED)
    pause = models.CharField(max_length=8, choices=Pause.choices, blank=True, default=Pause.NONE)
    paused_until = models.DateTimeField(null=True, blank=True)

    # The last result, so that the list is one query.
    last_run = models.ForeignKey("Run", models.SET_NULL, null=True, blank=True, related_name="+")
    last_polled_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=32, blank=True, default="")
    last_detail = models.CharField(max_length=200, blank=True, default="")
    last_found = models.PositiveIntegerField(default=0)
    last_fetched = models.PositiveIntegerField(default=0)
    last_deleted = models.PositiveIntegerField(default=0)
    last_skipped = models.PositiveIntegerField(default=0)
    last_octets = models.BigIntegerField(default=0)
    last_left = models.JSONField(default=dict, blank=True)
    failures = models.PositiveIntegerField(default=0)
    tls_seen = models.CharField(max_length=10, choices=[(t.value, t.value) for t in TlsLevel], default=TlsLevel.NONE)
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

    def __str__(self) -> str:
        return f"{self.user}@{self.server} → {self.recipient}"

    def as_rule(self, password: str) -> Rule:
        """The rule as `ruletext` knows it, with `password` (or MASK) in it."""
        return Rule(
            server=self.server,
            protocol=Protocol(self.protocol),
            user=self.user,
            password=password,
            recipient=self.recipient,
            keep=self.keep,
            flush=self.flush,
            fetchall=self.fetchall,
            encryption=Encryption(self.encryption),
            sslcertck=self.sslcertck,
            sslfingerprint=self.sslfingerprint,
            port=self.port,
            uidl=self.uidl,
            folders=tuple(self.folders),
            limit=self.limit,
            fetchlimit=self.fetchlimit,
            interval=self.interval,
            timeout=self.timeout,
            keepdays=self.keepdays,
            skip=not self.enabled,
        )


class Run(models.Model):
    """One poll: at once the claim, the progress and the history. At most one is open per source mailbox.

    `token` names the dispatch that claimed it; `left` counts letters left alone by the reason why (`policy.Why`).
    """

    class Cause(models.TextChoices):
        SCHEDULE = "schedule", _("schedule")
        BY_HAND = "by_hand", _("by hand")
        SAVED = "saved", _("the rule was saved")
        COMMAND = "command", _("command line")

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        ABANDONED = "abandoned", _("abandoned")

    OPEN: ClassVar = (State.QUEUED, State.RUNNING)

    token = models.UUIDField(default=uuid.uuid4)
    rule = models.ForeignKey(FetchRule, models.SET_NULL, null=True, related_name="runs")
    source = models.ForeignKey(SourceMailbox, models.CASCADE, related_name="runs")
    recipient = models.CharField(max_length=320)
    revision = models.PositiveIntegerField()
    cause = models.CharField(max_length=8, choices=Cause.choices, default=Cause.SCHEDULE)
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    claimed_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField()
    stop_asked = models.BooleanField(default=False)

    found = models.PositiveIntegerField(default=0)
    to_fetch = models.PositiveIntegerField(default=0)
    fetched = models.PositiveIntegerField(default=0)
    deleted = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    held = models.PositiveIntegerField(default=0)
    octets = models.BigIntegerField(default=0)
    octets_to_fetch = models.BigIntegerField(default=0)
    left = models.JSONField(default=dict, blank=True)

    error = models.CharField(max_length=32, blank=True, default="")
    detail = models.CharField(max_length=200, blank=True, default="")
    stages = models.JSONField(default=list, blank=True)
    transcript = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering: ClassVar = ["-claimed_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(finished_at__isnull=True), name="one_open_run_per_source"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, state__in=["queued", "running"])
                | Q(finished_at__isnull=False, state__in=["done", "failed", "abandoned"]),
                name="run_is_open_or_finished",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-claimed_at"], name="journal"),
            models.Index(fields=["rule", "-claimed_at"], name="journal_of_rule"),
            models.Index(fields=["deadline"], name="open_runs", condition=Q(finished_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.claimed_at:%Y-%m-%d %H:%M:%S}"

    @property
    def is_open(self) -> bool:
        """Not finished yet."""
        return self.finished_at is None


class Letter(models.Model):
    """The ledger: one remote letter that we have taken charge of, under the name that the server gives it."""

    class State(models.TextChoices):
        READY = "ready", _("being delivered")
        SENDING = "sending", _("being sent")
        DELIVERED = "delivered", _("delivered")
        HELD = "held", _("cannot be collected")
        PASSED = "passed", _("passed over by hand")

    class Fate(models.TextChoices):
        KEPT = "kept", _("stays on the server")
        WANTED = "wanted", _("to be deleted on the server")
        SENT = "sent", _("deletion not confirmed")
        DELETED = "deleted", _("deleted on the server")

    source = models.ForeignKey(SourceMailbox, models.CASCADE, related_name="letters")
    epoch = models.BigIntegerField()
    uid = models.CharField(max_length=128)
    ord = models.PositiveSmallIntegerField(default=0)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="letters")
    recipient = models.CharField(max_length=320)

    state = models.CharField(max_length=9, choices=State.choices)
    fate = models.CharField(max_length=7, choices=Fate.choices, default=Fate.KEPT)
    size = models.BigIntegerField()
    octets = models.BigIntegerField(default=0)
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    file_name = models.CharField(max_length=120, blank=True, default="")
    maybe_twice = models.BooleanField(default=False)
    tries = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=32, blank=True, default="")
    detail = models.CharField(max_length=200, blank=True, default="")

    first_seen_at = models.DateTimeField()
    received_at = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    missing_since = models.DateTimeField(null=True, blank=True)
    forgotten_at = models.DateTimeField(null=True, blank=True)

    sender = models.CharField(max_length=200, blank=True, default="")
    subject = models.CharField(max_length=200, blank=True, default="")
    message_id = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("letter")
        verbose_name_plural = _("letters")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "epoch", "uid", "ord"], name="one_row_per_letter"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["source"], name="unfinished_letters", condition=Q(state__in=["ready", "sending"])),
            models.Index(fields=["source"], name="held_letters", condition=Q(state="held")),
            models.Index(fields=["source", "fingerprint"], name="letters_by_fingerprint"),
            models.Index(fields=["forgotten_at"], name="forgotten_letters", condition=Q(forgotten_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.subject or self.uid


class LocalMarker(models.Model):
    """The random id in a Maildir's marker file: tells the Maildir that we know from one that merely stands in its place."""

    path = models.CharField(max_length=1024, unique=True)
    marker = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.path


class HourlyStat(models.Model):
    """Counters of one rule in one hour; all that idle runs leave behind."""

    rule = models.ForeignKey(FetchRule, models.CASCADE, related_name="hours")
    hour = models.DateTimeField()
    runs = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    fetched = models.PositiveIntegerField(default=0)
    deleted = models.PositiveIntegerField(default=0)
    octets = models.BigIntegerField(default=0)
    milliseconds = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["rule", "hour"], name="one_row_per_rule_and_hour")]
        indexes: ClassVar = [models.Index(fields=["hour"], name="stats_by_hour")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.hour:%Y-%m-%d %H:00}"


class Revision(models.Model):
    """The rule text as it was after one change, passwords masked; the passwords themselves are sealed beside it, for undo."""

    created_at = models.DateTimeField(default=timezone.now)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    version = models.PositiveBigIntegerField()
    note = models.CharField(max_length=200, blank=True, default="")
    text = models.TextField()
    passwords = models.JSONField(default=list)
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


class Heartbeat(models.Model):
    """When a part of the service was last heard from. `part` is worker or beat, `host` the machine and process."""

    part = models.CharField(max_length=8)
    host = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["part", "host"], name="one_heartbeat_per_part_and_host")
        ]

    def __str__(self) -> str:
        return f"{self.part} {self.host}"


class ServiceSettings(models.Model):
    """The one row of settings that administrators change in the panel. `text_version` counts changes of the rule text."""

    running = models.BooleanField(_("service runs"), default=True)
    stopped_by = models.CharField(max_length=150, blank=True, default="")
    stopped_at = models.DateTimeField(null=True, blank=True)
    interval = models.PositiveIntegerField(_("poll interval, minutes"), default=10)
    local_domains = models.TextField(_("local domains"), blank=True, default="")
    alert_addresses = models.TextField(_("alert addresses"), blank=True, default="")
    alert_webhook = models.URLField(_("alert webhook"), blank=True, default="")
    alert_after_failures = models.PositiveIntegerField(default=3)
    alert_after_hours = models.PositiveIntegerField(default=24)
    journal_days = models.PositiveIntegerField(_("keep the journal for, days"), default=90)
    per_host = models.PositiveIntegerField(_("connections to one server at a time"), default=10)
    owner_rules = models.PositiveIntegerField(_("rules per mailbox owner"), default=10)
    owner_networks = models.TextField(_("networks that owners may also connect to"), blank=True, default="")
    text_start = models.CharField(max_length=1, blank=True, default="")
    text_tail = models.TextField(blank=True, default="")
    text_version = models.PositiveBigIntegerField(default=0)

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

    @classmethod
    def advance_text(cls, version: int) -> bool:
        """Count a change of the text that was seen at `version`; False when somebody else has changed it since."""
        return bool(cls.objects.filter(id=1, text_version=version).update(text_version=F("text_version") + 1))
