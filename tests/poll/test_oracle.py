"""What fetchmail 6.4.37 did, measured poll by poll, and what the whole engine does against a real Dovecot.

fetchmail-polls.json: for each combination of keep, flush and fetchall, and for changes between them, four polls of one mailbox;
`old` letters were collected earlier under keep.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run
from fetchrules.poll.run import Result, poll
from tests.interop.dovecot import Dovecot

pytestmark = [pytest.mark.interop, pytest.mark.django_db]

SCENARIOS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "fetchmail-polls.json").read_text())
Flags = dict[str, bool]


def letter(name: str) -> bytes:
    return f"From: sender@example.org\r\nMessage-ID: <{name}@example.org>\r\nSubject: {name}\r\n\r\n{name}\r\n".encode()


def names(letters: list[bytes]) -> list[str]:
    return sorted(text.split(b"Subject: ")[1].split()[0].decode() for text in letters)


def flags(words: str) -> Flags:
    return {word: word in words.split() for word in ("keep", "flush", "fetchall")}


def poll_once(rule: FetchRule) -> Result:
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
    result = poll(run_id)
    assert result is not None
    return result


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_it_does_what_fetchmail_does(
    scenario: dict[str, Any], dovecot: Dovecot, make_rule: Callable[..., FetchRule], tmp_path: Path, settings: Any
) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    user = f"oracle{SCENARIOS.index(scenario)}"
    new = tmp_path / "mydomain.ru" / "i.petrov" / "new"
    protocol = scenario["protocol"]
    port = dovecot.pop3 if protocol == "pop3" else dovecot.imap
    rule = make_rule(server="127.0.0.1", protocol=protocol, port=port, user=user, keep=True)
    old = scenario["initial"]["old"]
    dovecot.put(user, map(letter, old))
    if old:
        assert poll_once(rule).error is None
    dovecot.put(user, map(letter, (name for name in scenario["initial"]["messages_in_order"] if name not in old)))

    for number, expected in enumerate(scenario["polls"], start=1):
        before = {path.name for path in new.iterdir()} if new.exists() else set()
        dovecot.put(user, map(letter, expected["added_before_poll"]))
        FetchRule.objects.filter(pk=rule.pk).update(**flags(expected["flags"]))
        rule.refresh_from_db()

        result = poll_once(rule)

        assert result.error is None
        arrived = [path.read_bytes() for path in new.iterdir() if path.name not in before] if new.exists() else []
        assert (number, names(arrived)) == (number, sorted(expected["delivered"]))
        assert (number, names(dovecot.letters(user))) == (number, sorted(expected["remaining"]))
        assert result.counts.deleted == len(expected["deleted"])
