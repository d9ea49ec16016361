"""`manage.py rotate_keys`: make a fresh key and seal everything with it; list the keys; drop one, or give it up as lost."""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.acts import keys
from fetchrules.management.console import Console
from fetchrules.secrets.sealed import Uses
from fetchrules.secrets.sealing import DROPPED_AFTER, changing_keys, key_ring


class Command(Console):
    """May run while the service does: it reads the key file at each use, and each row is exchanged by compare-and-swap.

    Two rotations wait for each other. Exit status: 0 fine, 1 refused, or passwords do not open.
    """

    help = "Make a fresh password key and seal everything with it; list, drop or give up keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_mutually_exclusive_group()
        verbs.add_argument("--list", action="store_true", help="say what is sealed with which key; change nothing")
        verbs.add_argument("--drop", metavar="ID", help="forget a key with which nothing is sealed any more")
        verbs.add_argument(
            "--lost",
            action="store_true",
            help="the key is gone for good: make one, and ask for the passwords that do not open",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *_args: object, **options: Any) -> None:
        result: dict[str, object] = {}
        try:
            if options["drop"]:
                result = _drop(options["drop"])
            elif options["lost"]:
                result = _give_up()
            elif not options["list"]:
                result = _rotate()
            result |= _listed()
        except (ValueError, OSError) as error:
            raise CommandError(_("The password keys cannot be read: %s") % error, returncode=1) from error
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self._say(result)
        if unreadable := result.get("unreadable"):
            words = _("the passwords of rules %s do not open with any key at hand") % unreadable
            raise CommandError(words, returncode=1)

    def _say(self, result: dict[str, Any]) -> None:
        if "sealed" in result:
            words = _(
                "Sealed with the new key %(key)s: passwords %(sealed)s, revisions %(revisions)s, drafts %(drafts)s."
            )
            self.stdout.write(words % result)
        if "dropped" in result:
            self.stdout.write(_("The key %s is dropped.") % result["dropped"])
        if "lost" in result:
            self.stdout.write(_("Rules that wait for a password now: %s") % (result["lost"] or _("none")))
        for key in result["keys"]:
            words = _("%(id)s: passwords %(rules)s, revisions %(revisions)s, drafts %(drafts)s; %(state)s")
            self.stdout.write(words % {**key, "id": key["id"] or "?", "state": _STATES[key["state"]]})
        if result["environment"]:
            self.stdout.write(
                _(
                    "The keys come from UTM_MAIL_KEYS. Processes that run go on with those that they were started with, and this "
                    "command can neither add nor drop one: put a new one first, restart every process, run this again, and take "
                    "the old one out when nothing is sealed with it."
                )
            )


_STATES = {"current": gettext_lazy("current"), "former": gettext_lazy("former"), "missing": gettext_lazy("not at hand")}


def _rotate() -> dict[str, object]:
    """With keys from the environment, their first one is the fresh one."""
    if settings.UTM_MAIL_KEYS:
        return _seal_again()
    with changing_keys() as file:
        if not key_ring().keys and any(Uses.now().rules.values()):
            words = _(
                "The key file is missing, and passwords are sealed. Bring it back; if it is lost for good: rotate_keys --lost."
            )
            raise CommandError(words, returncode=1)
        file.add()
        return _seal_again()


def _seal_again() -> dict[str, object]:
    return asdict(keys.reseal()) | {"key": key_ring().keys[0].id}


def _drop(id_: str) -> dict[str, object]:
    if settings.UTM_MAIL_KEYS:
        raise CommandError(_("The keys come from UTM_MAIL_KEYS: take the key out there."), returncode=1)
    with changing_keys() as file:
        if id_ not in {key.id for key in key_ring().keys[1:]}:
            raise CommandError(_("There is no former key %s.") % id_, returncode=1)
        waits = file.rotated_at + DROPPED_AFTER - time.time()
        if waits > 0:
            words = _("Something may still be on its way with this key. Come back in %s s.")
            raise CommandError(words % (int(waits) + 1), returncode=1)
        if left := Uses.now().of(id_):
            raise CommandError(_("Still sealed with this key: %s. Run rotate_keys first.") % left, returncode=1)
        keys.drop(file, id_)
    return {"dropped": id_}


def _give_up() -> dict[str, object]:
    if settings.UTM_MAIL_KEYS:
        return {"lost": keys.give_up_lost()}
    with changing_keys() as file:
        if not key_ring().keys:
            file.add()
        return {"lost": keys.give_up_lost()}


def _listed() -> dict[str, object]:
    """What is sealed with which key, the current one first; keys that are not at hand at the end."""
    uses, ring = Uses.now(), key_ring()
    at_hand = {key.id: key for key in ring.keys}
    unknown = sorted({*uses.rules, *uses.revisions, *uses.drafts} - at_hand.keys())
    rows = []
    for number, id_ in enumerate([*at_hand, *unknown]):
        made = at_hand[id_].made if id_ in at_hand else 0
        rows.append(
            {
                "id": id_,
                "state": "missing" if id_ not in at_hand else "former" if number else "current",
                "made": datetime.fromtimestamp(made, UTC).isoformat() if made else None,
                "rules": uses.rules[id_],
                "revisions": uses.revisions[id_],
                "drafts": uses.drafts[id_],
            }
        )
    return {"keys": rows, "environment": bool(settings.UTM_MAIL_KEYS)}
