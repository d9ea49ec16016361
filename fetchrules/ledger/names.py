"""The names that the ledger files letters under: the server's own, or a fingerprint, and an ordinal for each use of a name."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Max, QuerySet, Subquery

from fetchrules.models import Letter, SourceMailbox
from fetchrules.policy import Known, State, ToFetch

Name = tuple[str, int]


def names_for(source: SourceMailbox, epoch: int, arrived: Iterable[tuple[ToFetch, str]]) -> list[Name]:
    """(uid, ord) of each of these letters (with its fingerprint). One without a name of its own is called by its fingerprint and
    counted on from its twins."""
    letters = [(wanted, f"fp:{fingerprint}") for wanted, fingerprint in arrived]
    own = {uid for wanted, uid in letters if not wanted.named}
    counted = Letter.objects.filter(source=source, epoch=epoch, uid__in=own).values_list("uid").annotate(Max("ord"))
    last = dict(counted) if own else {}
    names: list[Name] = []
    for wanted, uid in letters:
        if wanted.named:
            names.append((wanted.letter.uid, wanted.ord))
        else:
            last[uid] = last.get(uid, -1) + 1
            names.append((uid, last[uid]))
    return names


def next_order(row_id: int) -> int:
    """An ordinal after all letters that have, or had, this letter's name."""
    return (_namesakes(row_id).aggregate(last=Max("ord"))["last"] or 0) + 1


def forget_former(row: Known | None, now: datetime) -> None:
    """The letter that was held as `row` has come: of letters that had its name before, none may be believed to be here by it."""
    if row and row.state is State.HELD and row.ord:
        _namesakes(row.id).filter(ord__lt=row.ord, forgotten_at=None).update(forgotten_at=now)


def _namesakes(row_id: int) -> QuerySet[Letter]:
    this = Letter.objects.filter(id=row_id)
    return Letter.objects.filter(**{column: Subquery(this.values(column)) for column in ("source_id", "epoch", "uid")})
