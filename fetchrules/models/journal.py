"""Runs, letters, counters. Only `fetchrules.ledger` writes them."""

import uuid
from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fetchrules.models.rule import FetchRule, SourceMailbox
from fetchrules.policy.known import Doubt, Fate, State


def _choices(names: Iterable[StrEnum]) -> list[tuple[str, str]]:
    return [(name.value, name.value) for name in names]


class Run(models.Model):
    """One poll: at once the claim, the progress and the history. At most one is open per source mailbox.

    `token` names the dispatch that claimed it, `worker` the process that does it (as its Heartbeat's `host`); `left` counts letters
    left alone by the reason why (`policy.Why`).
    """

    class Cause(models.TextChoices):
        SCHEDULE = "schedule", _("schedule")
        BY_HAND = "by_hand", _("by hand")
        SAVED = "saved", _("rule saved")
        COMMAND = "command", _("command line")

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        ABANDONED = "abandoned", _("Abandoned")

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
    worker = models.CharField(max_length=200, blank=True, default="")
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
        return self.finished_at is None


class Letter(models.Model):
    """The ledger: one remote letter that we have taken charge of, under the name that the server gives it, for one addressee.

    `addressee`: empty for the rule's own recipient. A letter for several has a row for each; all rows of one name are one letter on
    the server, which is known, and may be deleted there, when all of them are delivered.

    `into`: the folder of the local mailbox that it goes to, empty for the usual one. `file_name` and `directory` (its marker) say
    where it was staged. `head` is the fingerprint of its header alone. `lived`: what
    its mailbox had lived through when it was delivered (seconds). `deletions`: how often its deletion was asked of the server.
    `continues`: the id of the letter of a former ledger that it was recognised as. `octets` of a letter that is held since it came
    short: how many came.
    """

    source = models.ForeignKey(SourceMailbox, models.CASCADE, related_name="letters")
    epoch = models.BigIntegerField()
    uid = models.CharField(max_length=128)
    ord = models.PositiveIntegerField(default=0)
    addressee = models.CharField(max_length=320, blank=True, default="")
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="letters")
    recipient = models.CharField(max_length=320)
    into = models.CharField(max_length=200, blank=True, default="")

    state = models.CharField(max_length=9, choices=_choices(State))
    fate = models.CharField(max_length=7, choices=_choices(Fate), default=Fate.KEPT)
    size = models.BigIntegerField()
    octets = models.BigIntegerField(default=0)
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    file_name = models.CharField(max_length=120, blank=True, default="")
    directory = models.CharField(max_length=64, blank=True, default="")
    head = models.CharField(max_length=64, blank=True, default="")
    doubt = models.CharField(max_length=6, choices=_choices(Doubt), blank=True, default="")
    lived = models.BigIntegerField(null=True, blank=True)
    deletions = models.PositiveIntegerField(default=0)
    continues = models.BigIntegerField(null=True, blank=True)
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
            models.UniqueConstraint(fields=["source", "epoch", "uid", "ord", "addressee"], name="one_row_per_letter"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["source"], name="unfinished_letters", condition=Q(state__in=["ready", "sending"])),
            models.Index(fields=["source"], name="held_letters", condition=Q(state="held")),
            models.Index(fields=["source"], name="doubted_letters", condition=~Q(doubt="")),
            models.Index(fields=["source", "fingerprint"], name="letters_by_fingerprint"),
            models.Index(fields=["forgotten_at"], name="forgotten_letters", condition=Q(forgotten_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.subject or self.uid


class LocalMarker(models.Model):
    """The random id in a Maildir's marker file. It tells the known Maildir from another one in its place."""

    path = models.CharField(max_length=1024, unique=True)
    marker = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("marker of a local mailbox")
        verbose_name_plural = _("markers of local mailboxes")

    def __str__(self) -> str:
        return self.path


class HourlyStat(models.Model):
    """Counters of one rule in one hour. Idle runs leave nothing else behind. `idle`: how many of `runs` brought nothing."""

    rule = models.ForeignKey(FetchRule, models.CASCADE, related_name="hours")
    hour = models.DateTimeField()
    runs = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    idle = models.PositiveIntegerField(default=0)
    fetched = models.PositiveIntegerField(default=0)
    deleted = models.PositiveIntegerField(default=0)
    octets = models.BigIntegerField(default=0)
    milliseconds = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("counters of an hour")
        verbose_name_plural = _("counters by the hour")
        constraints: ClassVar = [models.UniqueConstraint(fields=["rule", "hour"], name="one_row_per_rule_and_hour")]
        indexes: ClassVar = [models.Index(fields=["hour"], name="stats_by_hour")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.hour:%Y-%m-%d %H:00}"
