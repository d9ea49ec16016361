"""One thing done beside another, with one database connection."""

from threading import Event, get_ident

import pytest
from django.db import connection

from fetchrules.poll.beside import Beside


@pytest.mark.django_db
def test_it_works_in_another_thread_with_the_same_connection() -> None:
    beside, seen = Beside(), list[tuple[int, object]]()
    beside.begin(lambda: seen.append((get_ident(), connection.connection)))
    beside.wait()
    ((thread, used),) = seen
    assert thread != get_ident()
    assert used is connection.connection
    beside.leave()
    assert not connection.allow_thread_sharing


@pytest.mark.django_db
def test_it_does_one_thing_after_the_other() -> None:
    beside, done, go_on = Beside(), list[int](), Event()
    beside.begin(lambda: done.append(1) if go_on.wait(10) else None)
    assert beside.busy
    go_on.set()
    beside.begin(lambda: done.append(2))
    beside.begin(beside.wait)  # the work itself has nothing to wait for
    beside.leave()
    assert done == [1, 2]
    assert not beside.busy


def fail() -> None:
    raise ZeroDivisionError


@pytest.mark.django_db
def test_it_raises_what_the_work_raised_once() -> None:
    beside = Beside()
    beside.wait()
    beside.begin(fail)
    with pytest.raises(ZeroDivisionError):
        beside.begin(fail)
    beside.wait()
    beside.begin(fail)
    beside.leave()
    beside.leave()
