"""Mailboxes that got another name, and ledgers that no rule reads: what is said of them before a rule is saved."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fetchrules.ruletext.sources import Source
from fetchrules.words.names import shown_host, source_name


def mailbox_name(account: Source) -> str:
    """What a ledger is called: the login at its server, and how it was read."""
    name = source_name(account.user, account.host)
    if not name.endswith(f"@{shown_host(account.host)}"):
        name += f", {shown_host(account.host)}"
    port = f":{account.port}" if account.port else ""
    return f"{name}{port}, {account.protocol.value.upper()}"


def with_letters(account: Source, letters: int) -> str:
    """A ledger in a list to choose from."""
    words = ngettext("%(mailbox)s: %(count)s letter", "%(mailbox)s: %(count)s letters", letters)
    return words % {"mailbox": mailbox_name(account), "count": letters}


def renamed(account: Source, *, other_mailbox: bool) -> str:
    """What becomes of the ledger of a mailbox that was called `account` so far."""
    if other_mailbox:
        return _("another mailbox: everything that lies there is collected")
    about = {"mailbox": mailbox_name(account)}
    return _("the mailbox has another address: letters collected as %(mailbox)s are recognised") % about


def continued(account: Source) -> str:
    """What is known of a ledger that goes on with that of `account`."""
    return _("Letters collected as %(mailbox)s are recognised.") % {"mailbox": mailbox_name(account)}


def would_recognise() -> str:
    """What a dry run cannot see of a ledger that goes on with another one."""
    return _("Of these, what was collected under the former address is recognised, and not delivered again.")


def offered(account: Source, letters: int, *, same_mailbox: bool) -> str:
    """What becomes of a ledger without a rule that a new rule may go on with."""
    about = {"ledger": with_letters(account, letters)}
    if same_mailbox:
        return _("the same mailbox as %(ledger)s: these are recognised") % about
    return _("perhaps the same mailbox as %(ledger)s, which no rule reads any more") % about
