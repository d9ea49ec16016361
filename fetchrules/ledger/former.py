"""The ledgers that a mailbox had under former names: its letters are recognised by what those remember, and nothing is moved."""

from collections.abc import Collection, Sequence

from fetchrules.models import Letter, SourceMailbox
from fetchrules.policy import Fate, Known, State


def recognised(source: SourceMailbox, former: Sequence[SourceMailbox]) -> frozenset[int]:
    """Ids of the former ledgers' letters that this ledger has as well.

    It has a copy of them, or of a copy of them, or they are copies of its own: names may be changed several times, and back.
    """
    own = set(Letter.objects.filter(source=source).values_list("id", flat=True))
    copies = Letter.objects.filter(source__in=[source, *former], continues__isnull=False)
    original = dict(copies.values_list("id", "continues"))
    families: dict[int, set[int]] = {}
    for row_id in original:
        first = row_id
        while (before := original.get(first)) is not None:
            first = before
        families.setdefault(first, {first}).add(row_id)
    found = (family for family in families.values() if not own.isdisjoint(family))
    return frozenset().union(*found) - own


def has_letters(former: Sequence[SourceMailbox], taken: Collection[int]) -> bool:
    """Whether these ledgers know letters that may be in the mailbox, and that are not `taken` for one of it yet."""
    letters = Letter.objects.filter(source__in=former).exclude(state__in=[State.HELD, State.READ])
    return not set(letters.exclude(fate=Fate.DELETED).values_list("id", flat=True)) <= set(taken)


def copy_of_former(source: SourceMailbox, row: Known, epoch: int) -> int:
    """A copy of a former ledger's letter in this one, under a name that is nobody's yet; its id.

    All that is known of the letter comes along: its mark, that it was passed over, and the time that it has lived through.
    """
    letter = Letter.objects.select_related("source").get(id=row.id)
    lived = None if letter.lived is None else source.lived - (letter.source.lived - letter.lived)
    letter.continues, letter.lived = letter.id, lived
    letter.pk, letter.source, letter.epoch, letter.run = None, source, epoch, None
    letter.uid = f"former {row.id}"  # no server's name has a blank in it
    letter._state.adding = True
    letter.save(force_insert=True)
    return letter.id
