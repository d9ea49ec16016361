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
from fetchrules.ruletext.document import Document


def apply(
    document: Document,
    version: int,
    *,
    by: User | None,
    delete_missing: bool = False,
    pass_present: bool = False,
    other_mailbox: bool = False,
    same_mailbox: bool = False,
    told: str | None = None,
    note: str = "",
) -> Applied:
    """Make the rules say what `document` says, as `rulebook.apply.apply` does, and raise what it raises.

    A rule whose target is written by somebody who is no administrator is restricted. Raises also PermissionDenied where `by` may
    not change every rule.
    """
    with transaction.atomic():
        done = book.apply(
            document,
            version,
            by=by,
            delete_missing=delete_missing,
            pass_present=pass_present,
            other_mailbox=other_mailbox,
            same_mailbox=same_mailbox,
            told=told,
            note=note,
            restricted=_restricted(by, ()),
        )
        _follow_up("text_applied", done, note, by)
    return done


def undo(revision: Revision, version: int, *, note: str, by: User | None) -> Applied:
    """Go back to the text of `revision`, with the passwords of its time. This makes a revision too.

    Raises TextChanged, TextRefused and PermissionDenied.
    """
    with transaction.atomic():
        done = book.apply(
            revisions.document_of(revision),
            version,
            by=by,
            delete_missing=True,
            note=note,
            restricted=_restricted(by, revisions.restricted_in(revision)),
        )
        _follow_up("text_undone", done, note, by)
    return done


def export_passwords(where: str = "", *, by: User | None, **detail: audit.Detail) -> None:
    """Note that the passwords leave in plain text. Raises PermissionDenied where `by` may not see them.

    The text is streamed after that, so that nobody gets it unnoted.
    """
    if by is not None and not (roles.edits_all(by) and roles.sees_passwords(by)):
        raise PermissionDenied
    audit.record(by, "passwords_exported", where, **detail)


def _follow_up(event: str, done: Applied, note: str, by: User | None) -> None:
    """Note and poll what was changed, if anything was."""
    if done.revision is not None:
        audit.record(by, event, note, **done.counts)
        tasks.wake()


def _restricted(by: User | None, places: Container[int]) -> Container[int]:
    """Under the lock, the places of the rules that are restricted if their target is another now.

    Raises PermissionDenied where `by` may not change every rule.
    """
    lock()
    writer = Writer.now(by)
    if not writer.edits_all:
        raise PermissionDenied
    return places if writer.administers else revisions.EVERYWHERE
