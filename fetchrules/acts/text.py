"""The text of all rules as a whole: applied, taken back, exported with its passwords."""

from collections.abc import Container

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction

from fetchrules import tasks
from fetchrules.acts import audit, roles
from fetchrules.acts.writer import Writer
from fetchrules.models import Revision
from fetchrules.rulebook import apply as book
from fetchrules.rulebook import revisions
from fetchrules.rulebook.apply import Applied
from fetchrules.rulebook.edits import lock
from fetchrules.rulebook.preview import NOTHING_CHOSEN, Choices
from fetchrules.ruletext.document import Document


def apply(
    document: Document,
    version: int,
    choices: Choices = NOTHING_CHOSEN,
    *,
    by: User | None,
    told: str | None = None,
    note: str = "",
) -> Applied:
    """Make the rules say what `document` says, as `rulebook.apply.apply` does, and raise what it raises.

    A rule is restricted if somebody who is no administrator writes its target. Raises also PermissionDenied if `by` may not change
    every rule.
    """
    with transaction.atomic():
        restricted = _restricted(by, ())
        done = book.apply(document, version, choices, by=by, told=told, note=note, restricted=restricted)
        _follow_up("text_applied", done, note, by)
    return done


def undo(revision: Revision, version: int, *, note: str, by: User | None) -> Applied:
    """Go back to the text of `revision`, with its passwords. This makes a revision too.

    Raises TextChanged, TextRefused and PermissionDenied.
    """
    document, choices = revisions.document_of(revision), Choices(delete_missing=True)
    with transaction.atomic():
        recorded = revision.restricted
        restricted = _restricted(by, revisions.EVERYWHERE if recorded is None else recorded)
        done = book.apply(document, version, choices, by=by, note=note, restricted=restricted)
        _follow_up("text_undone", done, note, by)
    return done


def export_passwords(where: str = "", *, by: User | None, **detail: audit.Detail) -> None:
    """Note an export of passwords in plain text, before it is streamed. Raises PermissionDenied if `by` may not see them."""
    if by is not None and not (roles.edits_all(by) and roles.sees_passwords(by)):
        raise PermissionDenied
    audit.record(by, "passwords_exported", where, **detail)


def _follow_up(event: str, done: Applied, note: str, by: User | None) -> None:
    if done.revision is not None:
        audit.record(by, event, note, **done.counts)
        tasks.wake()


def _restricted(by: User | None, places: Container[int]) -> Container[int]:
    """Lock the rules. Returns the places of those that are restricted if their target changes.

    Raises PermissionDenied if `by` may not change every rule.
    """
    lock()
    writer = Writer.now(by)
    if not writer.edits_all:
        raise PermissionDenied
    return places if writer.administers else revisions.EVERYWHERE
