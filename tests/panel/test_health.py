"""/readyz while the machine is out of threads, and after that."""

from threading import Thread

import pytest
from django.test import Client


@pytest.mark.django_db(transaction=True)
def test_it_answers_again_when_there_are_threads_to_be_had_again(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr("fetchrules.panel.middleware.health.PATIENCE", 0.2)
        exhausted.setattr(Thread, "start", no_thread)
        for _ in range(5):
            assert admin.get("/readyz").content == b"not ready\n"
    assert len(admin.get("/readyz").content.splitlines()) > 1  # the reasons
