"""Acts that make something due wake the dispatcher when their transaction ends; the others let it sleep."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db.models import QuerySet
from pytest_django import DjangoCaptureOnCommitCallbacks

from fetchrules import tasks
from fetchrules.acts import letters, rules, settings, text
from fetchrules.models import FetchRule, Pause, ServiceSettings
from fetchrules.rule import MASK
from fetchrules.rulebook.revisions import current_version
from fetchrules.ruletext.document import parse
from tests.conftest import MakeRule

LINE = "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru"


def every() -> QuerySet[FetchRule]:
    return FetchRule.objects.all()


WAKING: dict[str, Callable[[User], object]] = {
    "set": lambda by: rules.set_rule(every().get(), every().get().as_rule(MASK), by=by),
    "switch on": lambda by: rules.switch_rules(every(), on=True, by=by),
    "poll": lambda by: rules.poll_rules(every(), by=by),
    "resume": lambda by: rules.resume_rules(every(), by=by),
    "take over": lambda by: rules.take_over(every(), by=by),
    "start": lambda by: settings.switch_service(on=True, by=by),
    "apply": lambda by: text.apply(parse(LINE), current_version(), by=by),
}
SILENT: dict[str, Callable[[User], object]] = {
    "switch off": lambda by: rules.switch_rules(every(), on=False, by=by),
    "pause": lambda by: rules.pause_rules(every(), None, by=by),
    "delete": lambda by: rules.delete_rules(every(), by=by),
    "take up nothing": lambda by: letters.take_up(every().get(), by=by),
    "apply nothing": lambda by: text.apply(parse(""), current_version(), by=by),
}


@pytest.fixture
def charlies_left(make_rule: MakeRule, charlie: User) -> None:
    """A paused rule whose owner is gone, in a service that is stopped."""
    make_rule(owner=charlie, pause=Pause.BY_HAND)
    User.objects.filter(id=charlie.id).update(is_active=False)
    ServiceSettings.current()
    ServiceSettings.objects.update(running=False)


@pytest.mark.usefixtures("charlies_left")
@pytest.mark.parametrize(("act", "wakes"), [*((act, True) for act in WAKING), *((act, False) for act in SILENT)])
def test_it_wakes_the_dispatcher_when_something_is_due(
    act: str, wakes: bool, alice: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        {**WAKING, **SILENT}[act](alice)
    assert (tasks._wake in callbacks) == wakes


def test_it_leaves_the_schedule_alone_where_no_letter_was_passed_over(make_rule: MakeRule, alice: User) -> None:
    rule = make_rule(pause=Pause.BY_HAND)
    letters.take_up(rule, by=alice)
    assert every().get().pause == Pause.BY_HAND
