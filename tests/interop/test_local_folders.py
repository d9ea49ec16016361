"""A real Dovecot shows the folders that letters were delivered into, and shows them as subscribed."""

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger import runs
from fetchrules.models import Run
from fetchrules.poll.run import poll
from tests.conftest import MakeRule
from tests.interop.dovecot import PASSWORD, Dovecot, hand_over

pytestmark = [pytest.mark.interop, pytest.mark.django_db]

WANTED = {"INBOX": "INBOX", "Junk": "Junk", '"&BCEEMQQ+BEA-.&BBEEMAQ9BDo-"': "&BCEEMQQ+BEA-.&BBEEMAQ9BDo-"}


def test_three_folders_arrive_in_three(dovecot: Dovecot, settings: Settings, make_rule: MakeRule) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{dovecot.mail}/{{domain}}/{{local}}"
    user, recipient = "threefold", "threefold@mydomain.ru"
    dovecot.put(user, [b"Subject: inbox\r\n\r\n"])
    with dovecot.logged_in(user) as session:
        for name in ("Spam", "Bank"):
            session.create(name)
            session.append(name, "", "", f"Subject: {name}\r\n\r\n".encode())
    rule = make_rule(
        server="127.0.0.1", protocol="imap", port=dovecot.imap, user=user, recipient=recipient, encryption="plaintext",
        folders=["INBOX", "Spam", "Bank"], into=[["Spam", "Junk"], ["Bank", "Сбор/Банк"]],
    )  # fmt: skip
    assert PASSWORD == "petrovpasswd"
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
    result = poll(run_id)
    assert result is not None
    assert result.error is None
    hand_over(dovecot.maildir(recipient))
    with dovecot.logged_in(recipient) as session:
        counts = {name: session.select(name, readonly=True)[1][0] for name in WANTED}
        _, subscribed = session.lsub('""', '"*"')
    assert counts == dict.fromkeys(WANTED, b"1")
    assert {bytes(row).split()[-1].decode() for row in subscribed if isinstance(row, bytes)} == {*WANTED.values()} - {
        "INBOX"
    }
