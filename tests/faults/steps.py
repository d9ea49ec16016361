"""The steps of a poll between which it can die or fall asleep, by the functions that take them."""

import functools
import importlib
import os
import signal
from typing import Any

STEPS = {
    "claim": "fetchrules.ledger.runs.claim",
    "start": "fetchrules.ledger.runs.start_all",
    "recover": "fetchrules.poll.run.recover",
    "list": "fetchrules.poll.run.look",
    "miss": "fetchrules.ledger.departures.record_missing",
    "stage": "fetchrules.delivery.staging.Staging.begin",
    "finish": "fetchrules.delivery.staging.StagedFile.finish",
    "sync": "fetchrules.delivery.staging.Staging.sync",
    "record": "fetchrules.ledger.letters.record_ready",
    "commit": "fetchrules.delivery.maildir.Maildir.commit",
    "rename": "os.rename",
    "delivered": "fetchrules.poll.intake.Intake._record",
    "deleting": "fetchrules.ledger.departures.record_deleting",
    "delete": "fetchrules.poll.deleting.Deletions.delete",
    "quit": "fetchrules.remote.pop3.session.Pop3Mailbox.quit",
    "deleted": "fetchrules.ledger.departures.record_deleted",
    "close": "fetchrules.ledger.runs.close",
}


def stop_at(step: str, when: str, nth: int, number: int) -> None:
    """Send this process the signal `number` `when` ("before" or "after") it takes `step` for the `nth` time."""
    owner, name = locate(STEPS[step])
    original = getattr(owner, name)
    taken = 0

    @functools.wraps(original)
    def taking(*args: Any, **kwargs: Any) -> Any:
        nonlocal taken
        taken += 1
        due = taken == nth
        if due and when == "before":
            os.kill(os.getpid(), number)
        result = original(*args, **kwargs)
        if due and when == "after":
            os.kill(os.getpid(), number)
        return result

    setattr(owner, name, taking)


def locate(path: str) -> tuple[Any, str]:
    """The module or class that holds the last name of `path`, and that name."""
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        try:
            owner: Any = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1]
    raise LookupError(path)


KILL, STOP, CONTINUE = int(signal.SIGKILL), int(signal.SIGSTOP), int(signal.SIGCONT)
