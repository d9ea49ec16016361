"""From a real IMAP server: large letters piece by piece, and a server that can only expunge everything."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.conftest import MakeRule
from tests.interop.dovecot import Dovecot, running_dovecot
from tests.interop.test_imap_to_lmtp import poll_fine, some_letters, without_trace

pytestmark = [pytest.mark.interop, pytest.mark.django_db]

MIB = 1024 * 1024
SIMPLE = "protocol imap {\n  imap_capability = IMAP4rev1 LITERAL+ IDLE NAMESPACE\n}\n"


@pytest.fixture(scope="module")
def simple() -> Iterator[Dovecot]:
    """A Dovecot that does not tell of UIDPLUS."""
    with (
        tempfile.TemporaryDirectory(prefix="utm-", ignore_cleanup_errors=True) as directory,
        running_dovecot(Path(directory), SIMPLE) as server,
    ):
        yield server


def large_letter(octets: int) -> bytes:
    """Of so many octets on the wire, where line ends are two."""
    head = b"From: sender@mailserver.ru\nSubject: large %d\n\n" % octets
    lines, rest = divmod(octets - len(head) - 3, 72)
    return head + (b"y" * 70 + b"\n") * lines + b"z" * max(0, rest - 2) + b"\n"


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_it_carries_large_letters(
    dovecot: Dovecot, make_rule: MakeRule, tmp_path: Path, settings: Settings, protocol: str
) -> None:
    settings.DATA_DIR = tmp_path
    settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{dovecot.lmtp}"
    sizes = (MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 5_000_000, 900_000, 900_000, 1000)
    put, user = [large_letter(size) for size in sizes], f"large{protocol}"
    dovecot.put(user, put)
    place = {"server": "127.0.0.1", "port": getattr(dovecot, protocol), "protocol": protocol, "user": user}
    rule = make_rule(**place, recipient=f"{user}@mydomain.ru")

    assert poll_fine(rule).deleted == len(sizes)

    assert Counter(map(without_trace, dovecot.letters(f"{user}@mydomain.ru"))) == Counter(put)


def test_it_expunges_nothing_of_others_without_uidplus(
    simple: Dovecot, make_rule: MakeRule, tmp_path: Path, settings: Settings
) -> None:
    settings.DATA_DIR = tmp_path
    settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{simple.lmtp}"
    put = some_letters(3)
    simple.put("simple", put[:1])
    rule = make_rule(
        server="127.0.0.1", port=simple.imap, protocol="imap", user="simple", recipient="simple@mydomain.ru"
    )

    first = poll_fine(rule)
    assert (first.fetched, first.deleted, simple.letters("simple")) == (1, 1, [])
    simple.put("simple", put[1:])
    with simple.logged_in("simple") as other:
        other.store("2", "+FLAGS", "(\\Deleted)")
        second, third = poll_fine(rule), poll_fine(rule)

    assert (second.fetched, second.deleted, third.fetched) == (1, 0, 0)
    assert simple.letters("simple") == put[1:], "ours is flagged, and goes with the other's"
    assert sorted(map(without_trace, simple.letters("simple@mydomain.ru"))) == sorted(put[:2])
