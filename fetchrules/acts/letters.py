"""Decisions about problem letters, and about servers that list wrong sizes.

Functions with `ids` return how many letters they changed. They ignore letters that are not problem letters, or not `by`'s.
"""

from collections.abc import Callable, Collection

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from fetchrules import tasks
from fetchrules.acts import audit, roles
from fetchrules.ledger import by_hand, fetched, hosts, runs
from fetchrules.ledger.source_mailboxes import TO_BE_PASSED, folders_of, pass_present
from fetchrules.models import FetchRule, Letter


def retry(ids: Collection[int], *, by: User) -> int:
    """Try to collect, or to delete, these letters again at once, as if for the first time."""
    return _done("letters_retried", by_hand.retry_held, ids, by, poll=True)


def collect_again(ids: Collection[int], *, by: User) -> int:
    """Fetch and deliver these letters in doubt once more, at once."""
    return _done("letters_collected_again", by_hand.collect_again, ids, by, poll=True)


def pass_over(ids: Collection[int], *, by: User) -> int:
    """Leave these letters on the server for good."""
    return _done("letters_passed_over", by_hand.pass_over, ids, by)


def settle(ids: Collection[int], *, by: User) -> int:
    """Accept these letters in doubt as they were delivered, so that their rules decide over them."""
    return _done("letters_settled", by_hand.settle, ids, by)


def take_up(rule: FetchRule, *, by: User) -> int:
    """Collect letters of `rule` that were passed over, or were about to be.

    Raises FetchRule.DoesNotExist if the rule is not theirs to change.
    """
    with transaction.atomic():
        row = roles.editable_rules(by).select_related("source").get(id=rule.id)
        mailboxes = folders_of(row.source)
        were_to_be_passed = mailboxes.filter(TO_BE_PASSED).exists()
        pass_present(mailboxes, passed=False)
        were_to_be_passed |= fetched.drop(mailboxes)
        number = by_hand.take_up(by_hand.passed(mailboxes))
        if number or were_to_be_passed:
            runs.ask_for_poll(FetchRule.objects.filter(id=row.id), timezone.now())
            audit.record(by, "letters_taken_up", row, count=number)
            tasks.wake()
    return number


def declare_sizes(host: str, *, wrong: bool, by: User) -> None:
    """Declare that the sizes which `host` lists are `wrong` and not compared from now on, or that they are compared again."""
    with transaction.atomic():
        if not roles.administers(roles.as_stored(by)):
            raise PermissionDenied
        if hosts.sizes_are_wrong(host) != wrong:
            hosts.declare_sizes(host, wrong=wrong)
            audit.record(by, "sizes_declared_wrong" if wrong else "sizes_believed_again", host)


def _done(
    event: str, change: Callable[[QuerySet[Letter]], int], ids: Collection[int], by: User, *, poll: bool = False
) -> int:
    """`poll`: also poll the rules that read the mailboxes of these letters, as far as `by` may."""
    with transaction.atomic():
        theirs = roles.runnable_letters(by).filter(by_hand.PROBLEMS, id__in=ids)
        letters = Letter.objects.filter(id__in=list(theirs.values_list("id", flat=True)))
        reading = roles.runnable_rules(by).filter(Q(source__letters__in=letters) | Q(runs__letters__in=letters))
        rules = FetchRule.objects.filter(id__in=list(reading.values_list("id", flat=True)))
        number = change(letters)
        if number:
            audit.record(by, event, number)
        if poll:
            runs.ask_for_poll(rules, timezone.now())
            tasks.wake()
    return number
