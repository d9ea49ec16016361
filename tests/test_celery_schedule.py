"""Beat goes on ticking whoever sets the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from utm_mail.celery import BeatingScheduler, app

SECONDS = {"dispatch": 3, "watch": 60, "mend": 60, "housekeeping": 600}


class Silent(BeatingScheduler):
    """Says nothing of itself to a database."""

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)


@pytest.mark.parametrize("hours", [-3, 3])
def test_it_waits_no_longer_when_the_clock_is_set(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = Silent(app=app, lazy=False).schedule.values()
    monkeypatch.setattr(type(app), "now", lambda _self: datetime.now(UTC) + timedelta(hours=hours))
    assert [entry.name for entry in entries if entry.is_due().is_due or entry.is_due().next > SECONDS[entry.name]] == []
