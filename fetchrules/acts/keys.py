"""The password keys, as the command line changes them."""

from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from fetchrules.acts import audit
from fetchrules.rulebook.edits import lock
from fetchrules.secrets.sealed import SealedAgain, give_up, seal_again
from fetchrules.secrets.sealing import KeyFile, key_ring


def reseal() -> SealedAgain:
    """Seal everything with the current key. Each row is exchanged for itself, since polls and forms go on meanwhile."""
    done = seal_again(key_ring())
    audit.record(None, "keys_rotated", **asdict(done))
    return done


def drop(file: KeyFile, key: str) -> None:
    """Forget a key with which nothing is sealed any more. The file is written last: what fails before leaves the key."""
    with transaction.atomic():
        audit.record(None, "key_dropped", key)
        file.drop(key)


def give_up_lost() -> list[int]:
    """Take away the passwords that no key at hand opens; the ids of the rules that wait for another one since."""
    with transaction.atomic():
        lock()
        lost = give_up(key_ring(), timezone.now())
        audit.record(None, "keys_given_up", rules=lost)
    return lost
