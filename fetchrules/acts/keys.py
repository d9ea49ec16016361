"""The password keys, as the command line changes them."""

from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from fetchrules.acts import audit
from fetchrules.rulebook.edits import lock
from fetchrules.secrets.sealed import SealedAgain, give_up, seal_again
from fetchrules.secrets.sealing import KeyFile, key_ring


def reseal() -> SealedAgain:
    """Seal everything with the current key, row by row, since polls and forms go on meanwhile."""
    done = seal_again(key_ring())
    audit.record(None, "keys_rotated", **asdict(done))
    return done


def drop(file: KeyFile, key: str) -> None:
    """Delete a key that seals nothing any more. The file is written last, so that a failure before it leaves the key."""
    with transaction.atomic():
        audit.record(None, "key_dropped", key)
        file.drop(key)


def give_up_lost() -> list[int]:
    """Delete the passwords that no available key opens. Returns the ids of the rules that now wait for a new one."""
    with transaction.atomic():
        lock()
        lost = give_up(key_ring(), timezone.now())
        audit.record(None, "keys_given_up", rules=lost)
    return lost
