"""A worker is killed in the middle of polls, and another one lives: the dead one's polls do not hold their places."""

import signal
from pathlib import Path
from threading import Event

import pytest

from tests.interop.installation import Installation
from tests.interop.redis_server import Redis
from tests.servers.faults import Alter, Fault
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, Behaviour, Mailbox, Pop3Server, Step
from tests.waiting import until

pytestmark = pytest.mark.interop

AT_A_TIME = 4
"""Polls of one server, where a worker does sixteen."""
RUNNING = """
from fetchrules.models import Run
print(*Run.objects.filter(state="running").values_list("worker", flat=True))
"""


def test_it_polls_again_what_a_killed_worker_had_in_hand(tmp_path: Path, redis_server: Redis) -> None:
    installation = Installation(
        tmp_path, {"UTM_MAIL_REDIS_URL": redis_server.new_url(), "UTM_MAIL_CONCURRENCY": str(4 * AT_A_TIME)}
    )
    installation.prepare()
    silent = Event()
    silent.set()

    def think(answer: bytes) -> bytes:
        while silent.is_set():
            Event().wait(0.1)
        return answer

    users = [f"petrov{number}" for number in range(AT_A_TIME)]
    mailboxes = {user: Mailbox(PASSWORD, Maildrop([letter(user)])) for user in users}
    worker = ("worker", "-P", "threads", "-l", "WARNING")
    with Pop3Server(mailboxes, Behaviour(faults=(Fault(Step.UIDL, Alter(think)),))) as server:
        line = f"127.0.0.1:pop3 {{0}} {PASSWORD} {{0}}@mydomain.ru port {server.port}\n"
        installation.paste("".join(line.format(user) for user in users))
        with installation.celery("beat", "-l", "WARNING"), installation.celery(*worker) as doomed:
            until(lambda: server.connections >= AT_A_TIME)
            dead = set(installation.manage("shell", "-v0", "-c", RUNNING).stdout.split())
            with installation.celery(*worker):
                doomed.send_signal(signal.SIGKILL)
                silent.clear()
                until(lambda: not any(mailbox.maildrop.letters for mailbox in mailboxes.values()), 90)
    assert len(dead) == 1
    assert len(list(tmp_path.glob("mail/mydomain.ru/*/new/*"))) == AT_A_TIME
