"""A Maildir that was replaced: nothing is done until the administrator says that it is the right one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Letter, Run
from fetchrules.poll.run import Result, poll
from tests.interop.dovecot import Dovecot
from tests.poll.conftest import adopt

pytestmark = [pytest.mark.interop, pytest.mark.django_db]


def poll_once(rule: FetchRule) -> Result:
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
    result = poll(run_id)
    assert result is not None
    return result


def code(result: Result) -> str | None:
    return result.error.code if result.error else None


def test_it_waits_for_the_administrator_when_the_mailbox_was_replaced(
    dovecot: Dovecot, make_rule: Callable[..., FetchRule], tmp_path: Path, settings: Settings
) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    home = tmp_path / "mydomain.ru" / "i.petrov"
    rule = make_rule(server="127.0.0.1", port=dovecot.pop3, user="adoption", recipient="i.petrov@mydomain.ru")
    dovecot.put("adoption", [b"Subject: one\r\n\r\n1\r\n"])
    assert code(poll_once(rule)) is None

    shutil.move(home, tmp_path / "elsewhere")
    dovecot.put("adoption", [b"Subject: two\r\n\r\n2\r\n"])
    assert code(poll_once(rule)) == "maildir_replaced"
    assert len(dovecot.letters("adoption")) == 1
    assert not home.exists()

    # As if a crash had come between the record and the delivery: the file went with the old directory.
    Letter.objects.create(
        source=rule.source,
        epoch=0,
        uid="lost",
        state="ready",
        size=1,
        file_name="1.lost",
        recipient="I.Petrov@MyDomain.ru",
        first_seen_at=timezone.now(),
    )
    assert code(poll_once(rule)) == "maildir_replaced"
    assert adopt("i.petrov@mydomain.ru") == 1
    assert code(poll_once(rule)) is None
    assert [path.read_bytes() for path in (home / "new").iterdir()] == [b"Subject: two\n\n2\n"]
    assert dovecot.letters("adoption") == []
