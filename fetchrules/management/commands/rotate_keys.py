"""`manage.py rotate_keys`: a fresh key, and every stored password sealed with it."""

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import AuditEntry, FetchRule
from fetchrules.ruletext.spec import MASK
from fetchrules.secrets import add_key, key_ring, target_of


class Command(BaseCommand):
    """May run while the service does: the old keys stay in the ring, and each row is exchanged by compare-and-swap."""

    help = "Make a fresh password key and seal every stored password with it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How to say what came of it."""
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *_args: object, **options: Any) -> None:
        """Add the key (unless the keys come from the environment: then its first one is the fresh one), seal again."""
        if not settings.UTM_MAIL_KEYS:
            add_key()
        ring = key_ring()
        sealed, unreadable = 0, []
        for rule in FetchRule.objects.iterator():
            if ring.is_current(rule.password):
                continue
            target = target_of(rule.as_rule(MASK))
            try:
                fresh = ring.seal(ring.unseal(rule.password, target), target)
            except PasswordUnreadable:
                unreadable.append(rule.id)
                continue
            sealed += FetchRule.objects.filter(id=rule.id, password=rule.password).update(password=fresh)
        AuditEntry.objects.create(what="keys_rotated", detail={"sealed": sealed, "unreadable": unreadable})
        result = {"key": ring.keys[0].id, "sealed": sealed, "unreadable": unreadable}
        self.stdout.write(json.dumps(result) if options["json"] else f"{result['key']}: {sealed}")
        if unreadable:
            raise CommandError(f"the passwords of rules {unreadable} do not open with any key at hand", returncode=1)
