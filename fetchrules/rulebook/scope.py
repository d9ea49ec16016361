"""Whose rules a text is about: all of them, or one mailbox owner's."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import QuerySet

from fetchrules.models import FetchRule


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules that somebody may change.

    With an `owner` these are his alone, new ones become his, and all deliver into `recipient`. Without one, the text is the file
    itself; an owner's text shows his lines of it, and what he writes below his last rule is not kept.
    """

    owner: User | None = None
    recipient: str = ""

    @property
    def rules(self) -> QuerySet[FetchRule]:
        """The rules, in the order of the text."""
        rules = FetchRule.objects.select_related("source").order_by("position", "id")
        return rules if self.owner is None else rules.filter(owner=self.owner)

    @property
    def is_whole(self) -> bool:
        """Whether these are all rules there are."""
        return self.owner is None


EVERYTHING = Scope()
