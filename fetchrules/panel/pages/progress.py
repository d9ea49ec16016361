"""How far a running poll has come."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from fetchrules.models import Run
from fetchrules.words import amounts


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress bar and what is said below it. `percent` is None while the amount is unknown."""

    run: Run
    percent: int | None
    words: str

    @classmethod
    def of(cls, run: Run, now: datetime) -> "Progress":
        """Of a run that is not finished yet."""
        if run.state == Run.State.QUEUED:
            return cls(run, None, _("waiting for a worker"))
        if not run.to_fetch:
            return cls(run, None, _("connecting") if not run.found else _("looking through the mailbox"))
        done = run.octets / run.octets_to_fetch if run.octets_to_fetch else run.fetched / run.to_fetch
        return cls(run, min(100, int(100 * done)), " · ".join(_parts(run, done, now)))


def _parts(run: Run, done: float, now: datetime) -> list[str]:
    parts = [
        _("%(done)s of %(all)s") % {"done": amounts.count(run.fetched), "all": amounts.letters(run.to_fetch)},
        amounts.octets(run.octets),
    ]
    spent = (now - run.started_at).total_seconds() if run.started_at else 0.0
    if spent >= 1 and run.octets:
        parts.append(_("%(size)s/s") % {"size": amounts.octets(int(run.octets / spent))})
        if 0 < done < 1:
            left = timedelta(seconds=max(1, round(spent * (1 - done) / done)))
            parts.append(_("%(time)s left") % {"time": amounts.duration(left)})
    return parts
