"""What the rule book refuses although the form found nothing wrong with it, as complaints about fields."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from fetchrules.acts.writer import PasswordNeeded, RuleInvalid, SourceTaken
from fetchrules.errors import KeyMissing, PasswordUnreadable
from fetchrules.rulebook.edits import LedgerTaken
from fetchrules.words.failures import describe
from fetchrules.words.ruletext import explain

Refusal = RuleInvalid | SourceTaken | LedgerTaken | PasswordNeeded | PasswordUnreadable
REFUSALS = (RuleInvalid, SourceTaken, LedgerTaken, PasswordNeeded, PasswordUnreadable)


def complaints(refusal: Refusal) -> Iterator[tuple[str, str]]:
    """Each with the field that it is about; an empty name: with the whole form."""
    match refusal:
        case RuleInvalid():
            yield from ((problem.field, explain(problem)) for problem in refusal.problems)
        case SourceTaken():
            yield (
                "user",
                _("Another rule collects from this mailbox; two may share it only if both keep its mail."),
            )
        case LedgerTaken():
            yield (
                "same_mailbox",
                _("This mailbox cannot be chosen any more: a rule reads it, or it is another recipient's."),
            )
        case PasswordNeeded():
            yield "password", _("Server, login or encryption were changed: enter the password again.")
        case KeyMissing():
            yield "password", describe(refusal.code).title
        case PasswordUnreadable():
            yield "password", _("The stored password cannot be read: enter it again.")
