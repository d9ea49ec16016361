"""From a real IMAP server into a real mail server: every letter once, its octets as they were behind what servers put in front."""

from collections import Counter
from datetime import timedelta
from imaplib import IMAP4
from pathlib import Path
from random import Random

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Letter, Run, SourceMailbox
from fetchrules.policy.known import Fate
from fetchrules.policy.table import Terms
from fetchrules.poll.looking import account_of
from fetchrules.poll.run import Result, poll
from fetchrules.poll.trial import Stage, try_connection
from fetchrules.rule import MASK
from fetchrules.utf7 import encode_folder
from tests.conftest import MakeRule
from tests.interop.dovecot import Dovecot
from tests.interop.postfix import RECIPIENTS, Postfix
from tests.waiting import until

pytestmark = [pytest.mark.interop, pytest.mark.django_db]

BODIES = (
    b"plain\n",
    b".\n..\n.dot\n\n.\n",
    "«Письмо», восемь бит\n".encode(),
    b"From the beginning of a line\n>From\n",
    b"\n\n\n",
    b"x" * 900 + b"\n" + b"y\n" * 5000,
    b"",
)


def some_letters(number: int, name: str = "letter") -> list[bytes]:
    """Letters like no other, with what is hard to carry, and nothing that a mail server may change (lone CRs, endless lines)."""
    random = Random(name)
    return [
        b"From: sender@mailserver.ru\nSubject: %s %d\nMessage-ID: <%d@mailserver.ru>\n\n%s%x\n"
        % (name.encode(), one, one, BODIES[one % len(BODIES)], random.getrandbits(200))
        for one in range(number)
    ]


def without_trace(file: bytes) -> bytes:
    """A delivered letter without the fields that were put in front of it."""
    start = file.find(b"From: sender@mailserver.ru\nSubject: ")
    assert start >= 0, file[:500]
    assert b"\n\n" not in file[:start]
    return file[start:]


@pytest.fixture(autouse=True)
def installation(dovecot: Dovecot, tmp_path: Path, settings: Settings) -> None:
    """It delivers into the Dovecot that it reads from."""
    settings.DATA_DIR = tmp_path
    settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{dovecot.lmtp}"


@pytest.fixture
def new_rule(dovecot: Dovecot, make_rule: MakeRule) -> MakeRule:
    """A rule for a mailbox of the Dovecot, by IMAP unless it says otherwise."""

    def make(user: str, **columns: object) -> FetchRule:
        protocol = columns.setdefault("protocol", "imap")
        place = {"server": "127.0.0.1", "port": getattr(dovecot, str(protocol)), "user": user}
        return make_rule(**{**place, "recipient": f"{user}@mydomain.ru", **columns})

    return make


def poll_once(rule: FetchRule) -> Result:
    rule.refresh_from_db()
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
    result = poll(run_id)
    assert result is not None
    return result


def poll_fine(rule: FetchRule) -> runs.Counts:
    """A poll that must not fail; what it counted."""
    result = poll_once(rule)
    assert result.error is None
    return result.counts


def test_it_carries_five_hundred_letters_once(dovecot: Dovecot, new_rule: MakeRule) -> None:
    put = some_letters(500)
    dovecot.put("many", put)
    rule = new_rule("many")

    first, second = poll_fine(rule), poll_fine(rule)

    assert (first.found, first.fetched, first.deleted) == (500, 500, 500)
    assert (second.found, second.fetched) == (0, 0)
    assert dovecot.letters("many") == []
    assert Counter(map(without_trace, dovecot.letters("many@mydomain.ru"))) == Counter(put)
    assert not Letter.objects.filter(maybe_twice=True).exists()


def test_it_carries_five_hundred_letters_once_through_postfix(
    dovecot: Dovecot, postfix: Postfix, new_rule: MakeRule, settings: Settings
) -> None:
    settings.UTM_MAIL_DELIVERY = f"smtp://127.0.0.1:{postfix.port}"
    put = some_letters(500)
    dovecot.put("manyby", put)
    rule = new_rule("manyby", recipient=RECIPIENTS[2])

    assert poll_fine(rule).fetched == 500
    assert poll_fine(rule).found == 0

    until(lambda: len(dovecot.letters(RECIPIENTS[2])) >= 500, 60)
    assert Counter(map(without_trace, dovecot.letters(RECIPIENTS[2]))) == Counter(put)


TABLE = {
    "": [(3, 1), (3, 1)],
    "flush": [(3, 0), (3, 0)],
    "fetchall": [(4, 0), (4, 0)],
    "flush fetchall": [(4, 0), (4, 0)],
    "keep": [(3, 3), (3, 3)],
    "keep flush": [(3, 2), (3, 0)],
    "keep fetchall": [(4, 3), (7, 3)],
    "keep flush fetchall": [(4, 3), (7, 3)],
}
"""A letter that was collected under `keep`, then two new ones: (letters delivered, letters left) after each of two polls."""


@pytest.mark.parametrize("words", TABLE, ids=lambda words: words or "nokeep")
@pytest.mark.parametrize("uidl", [False, True], ids=["", "uidl"])
def test_it_ends_as_the_table_says(dovecot: Dovecot, new_rule: MakeRule, words: str, uidl: bool) -> None:
    old, *new = some_letters(3)
    user = "table" + words.replace(" ", "") + "uidl" * uidl
    dovecot.put(user, [old])
    rule = new_rule(user, keep=True, uidl=uidl)
    poll_fine(rule)
    dovecot.put(user, new)
    flags = {word: word in words.split() for word in ("keep", "flush", "fetchall")}
    FetchRule.objects.filter(pk=rule.pk).update(**flags)
    for expected in TABLE[words]:
        poll_fine(rule)
        assert (len(dovecot.letters(f"{user}@mydomain.ru")), len(dovecot.letters(user))) == expected


def test_it_fetches_nothing_for_a_mailbox_that_postfix_does_not_have(
    dovecot: Dovecot, postfix: Postfix, new_rule: MakeRule, settings: Settings
) -> None:
    settings.UTM_MAIL_DELIVERY = f"smtp://127.0.0.1:{postfix.port}"
    put = some_letters(2)
    dovecot.put("nowhere", put)
    rule = new_rule("nowhere", recipient="nobody@example.org")

    result = poll_once(rule)
    trial = try_connection(
        account_of(rule, rule.source),
        rule.source,
        Terms.of(rule.as_rule(MASK), restricted=rule.restricted, pass_present=rule.source.pass_present),
        rule.recipient,
        timezone.now(),
    )

    assert result.error is not None
    assert (result.error.code, result.counts.fetched, result.counts.octets) == ("recipient_unknown", 0, 0)
    assert [(step.stage, step.error.code) for step in trial.steps if step.error] == [
        (Stage.DELIVERY, "recipient_unknown")
    ]
    assert dovecot.letters("nowhere") == put


def test_it_leaves_alone_what_another_client_has_flagged(dovecot: Dovecot, new_rule: MakeRule) -> None:
    put = some_letters(3)
    dovecot.put("flagged", put)
    with dovecot.logged_in("flagged") as other:
        other.store("2", "+FLAGS", "(\\Deleted)")
        rule = new_rule("flagged")

        assert poll_fine(rule).fetched == 2
        assert dovecot.letters("flagged") == [put[1]]

        other.store("1:*", "-FLAGS", "(\\Deleted)")
        assert poll_fine(rule).fetched == 1
    assert dovecot.letters("flagged") == []
    assert sorted(map(without_trace, dovecot.letters("flagged@mydomain.ru"))) == put


def test_it_expunges_what_a_poll_had_flagged_before_it_died(dovecot: Dovecot, new_rule: MakeRule) -> None:
    put = some_letters(3)
    dovecot.put("halfway", put)
    rule = new_rule("halfway", keep=True)
    poll_fine(rule)
    Letter.objects.filter(source=rule.source, subject="letter 0").update(fate=Fate.SENT)
    FetchRule.objects.filter(pk=rule.pk).update(keep=False)
    with dovecot.logged_in("halfway") as dying:
        dying.store("1:2", "+FLAGS", "(\\Deleted)")

        poll_fine(rule)

    assert dovecot.letters("halfway") == put[1:]


def validity(dovecot: Dovecot, user: str) -> bytes:
    with dovecot.logged_in(user) as session:
        (told,) = session.response("UIDVALIDITY")[1]
    assert isinstance(told, bytes)
    return told


def forget_names(dovecot: Dovecot, user: str) -> None:
    """Remove what Dovecot knows of the mailbox by heart: it gives every letter another UID and unique-id from now on.

    dovecot-uidvalidity stays: without it the new UIDVALIDITY could be the old one, within the same second.
    """
    for file in [*dovecot.maildir(user).glob("dovecot.index*"), dovecot.maildir(user) / "dovecot-uidlist"]:
        file.unlink()


@pytest.mark.parametrize("columns", [{"protocol": "pop3"}, {}, {"uidl": True}], ids=["pop3", "imap", "imap uidl"])
def test_it_knows_letters_again_that_got_new_names(
    dovecot: Dovecot, new_rule: MakeRule, columns: dict[str, object]
) -> None:
    put, late = some_letters(20), some_letters(1, "late")
    user = "renamed" + "".join(columns)
    dovecot.put(user, put)
    rule = new_rule(user, keep=True, **columns)
    assert poll_fine(rule).fetched == 20
    for _ in range(2):
        before = validity(dovecot, user)
        forget_names(dovecot, user)
        poll_fine(rule)
        assert validity(dovecot, user) != before
    dovecot.put(user, late)
    poll_fine(rule)
    assert Counter(map(without_trace, dovecot.letters(f"{user}@mydomain.ru"))) == Counter(put + late)
    assert Counter(dovecot.letters(user)) == Counter(put + late)


FOLDERS = ("INBOX", "Заказы", "Работа.Счета & акты")


def append(session: IMAP4, folder: str, letters: list[bytes]) -> None:
    name = f'"{encode_folder(folder)}"'
    if folder != "INBOX":
        assert session.create(name)[0] == "OK"
    for letter in letters:
        assert session.append(name, "", "", letter.replace(b"\n", b"\r\n"))[0] == "OK"


def test_it_reads_several_folders(dovecot: Dovecot, new_rule: MakeRule) -> None:
    put = {folder: some_letters(3, f"in {number}") for number, folder in enumerate(FOLDERS)}
    dovecot.put("folders", [])
    with dovecot.logged_in("folders") as session:
        for folder, letters in put.items():
            append(session, folder, letters)
        rule = new_rule("folders", folders=list(FOLDERS))

        assert (poll_fine(rule).fetched, poll_fine(rule).found) == (9, 0)

        for folder in FOLDERS:
            assert session.select(f'"{encode_folder(folder)}"')[1] == [b"0"]
    arrived = Counter(map(without_trace, dovecot.letters("folders@mydomain.ru")))
    assert arrived == Counter(letter for letters in put.values() for letter in letters)


def test_it_reads_the_other_folders_when_one_is_not_there(dovecot: Dovecot, new_rule: MakeRule) -> None:
    put = some_letters(2)
    dovecot.put("nofolder", put)
    rule = new_rule("nofolder", folders=["Нет такой", "INBOX"])

    result = poll_once(rule)

    assert result.error is not None
    assert result.error.code == "folder_missing"
    assert result.counts.fetched == 2
    assert sorted(map(without_trace, dovecot.letters("nofolder@mydomain.ru"))) == put


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_it_deletes_letters_when_their_days_are_over(dovecot: Dovecot, new_rule: MakeRule, protocol: str) -> None:
    put, user = some_letters(4), f"days{protocol}"
    dovecot.put(user, put)
    rule = new_rule(user, protocol=protocol, keepdays=3)
    assert (poll_fine(rule).fetched, poll_fine(rule).deleted) == (4, 0)
    for number, age in enumerate((timedelta(days=4), timedelta(days=3, minutes=1), timedelta(days=2, hours=23))):
        letter = Letter.objects.get(source=rule.source, subject=f"letter {number}")
        lived = F("lived") - int(age.total_seconds())
        Letter.objects.filter(pk=letter.pk).update(delivered_at=timezone.now() - age, lived=lived)
    SourceMailbox.objects.update(settled={})  # it holds for an hour

    counts = poll_fine(rule)

    assert (counts.deleted, counts.fetched) == (2, 0)
    assert dovecot.letters(user) == put[2:]
    assert poll_fine(rule).deleted == 0
    assert len(dovecot.letters(f"{user}@mydomain.ru")) == 4


def test_letters_for_folders_go_to_addresses_with_details(
    dovecot: Dovecot, settings: Settings, make_rule: MakeRule
) -> None:
    settings.UTM_MAIL_DETAIL = "+"
    dovecot.put("detailed", some_letters(3))
    rule = make_rule(
        server="127.0.0.1", protocol="imap", port=dovecot.imap, user="detailed", recipient="detailed@mydomain.ru",
        encryption="plaintext", into=[["", "Bank"]],
    )  # fmt: skip
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
    result = poll(run_id)
    assert result is not None
    assert result.error is None
    folder = dovecot.maildir(rule.recipient) / ".Bank" / "new"
    assert {without_trace(path.read_bytes()) for path in folder.iterdir()} == {*some_letters(3)}
