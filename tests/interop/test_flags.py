"""`flags` between two mailboxes of a real Dovecot: IMAP shows the same marks of a letter in both."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.conftest import MakeRule
from tests.interop.dovecot import Dovecot
from tests.interop.test_imap_to_lmtp import poll_fine, some_letters

pytestmark = [pytest.mark.interop, pytest.mark.django_db]

MARKS = ("\\Answered", "\\Flagged", "\\Seen")
SETS = [frozenset(some) for count in range(len(MARKS) + 1) for some in combinations(MARKS, count)]
"""Each of them, and every combination."""


def shown(dovecot: Dovecot, user: str) -> dict[int, frozenset[str]]:
    """The flags of each letter by the number in its subject, as IMAP shows them; being recent is no mark."""
    with dovecot.logged_in(user) as session:
        _, parts = session.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found = {}
    for part in parts:
        if isinstance(part, tuple):
            flags = re.search(rb"FLAGS \(([^)]*)\)", part[0])
            number = re.search(rb"letter (\d+)", part[1])
            assert flags
            assert number
            found[int(number[1])] = frozenset(flags[1].decode().split()) - {"\\Recent"}
    return found


@pytest.mark.parametrize("keep", [False, True], ids=["nokeep", "keep"])
def test_imap_shows_the_flags_of_the_source(
    keep: bool, dovecot: Dovecot, make_rule: MakeRule, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    settings.UTM_MAIL_DELIVERY = f"maildir:{dovecot.mail}/{{domain}}/{{local}}"
    user = f"marks{keep}".lower()
    dovecot.put(user, some_letters(len(SETS)))
    with dovecot.logged_in(user) as session:
        for number, flags in enumerate(SETS, 1):
            if flags:
                session.store(str(number), "+FLAGS", f"({' '.join(sorted(flags))})")
    before = shown(dovecot, user)
    assert sorted(map(sorted, before.values())) == sorted(map(sorted, SETS))
    place = {"server": "127.0.0.1", "port": dovecot.imap, "user": user, "recipient": f"{user}@mydomain.ru"}
    rule = make_rule(protocol="imap", uidl=True, flags=True, keep=keep, **place)

    assert poll_fine(rule).fetched == len(SETS)
    assert poll_fine(rule).fetched == 0

    assert shown(dovecot, f"{user}@mydomain.ru") == before
    if keep:
        assert all("\\Seen" in flags for flags in shown(dovecot, user).values()), "the panel has marked them since"
