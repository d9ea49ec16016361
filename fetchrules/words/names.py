"""Names of remote mailboxes, with control characters escaped, and what is said of their ledgers before a rule is saved."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fetchrules.errors import harmless
from fetchrules.remote.auth.ways import Way
from fetchrules.ruletext.sources import Source


def source_name(user: str, host: str) -> str:
    """The login if it is a whole address, else the login at its server."""
    return harmless(user) if "@" in user else f"{harmless(user)}@{shown_host(host)}"


def shown_host(host: str) -> str:
    """The host name, with its IDNA labels decoded (RFC 3490)."""
    try:
        return harmless(host.encode("ascii").decode("idna") if "xn--" in host else host)
    except UnicodeError:
        return harmless(host)


def way_name(way: Way) -> str:
    """A way to log in: a name of SASL, or what the protocols do by themselves."""
    return _("login and password") if way is Way.NATIVE else way.value


def mailbox_name(account: Source) -> str:
    """The name of a ledger: login, server and protocol."""
    name = source_name(account.user, account.host)
    if not name.endswith(f"@{shown_host(account.host)}"):
        name += f", {shown_host(account.host)}"
    port = f":{account.port}" if account.port else ""
    return f"{name}{port}, {account.protocol.value.upper()}"


def with_letters(account: Source, letters: int) -> str:
    """The name of a ledger and its number of letters, for a list to choose from."""
    words = ngettext("%(mailbox)s: %(count)s letter", "%(mailbox)s: %(count)s letters", letters)
    return words % {"mailbox": mailbox_name(account), "count": letters}


def renamed(account: Source, *, other_mailbox: bool) -> str:
    """What happens to the ledger of a mailbox whose former name was `account`."""
    if other_mailbox:
        return _("another mailbox: everything that lies there is collected")
    about = {"mailbox": mailbox_name(account)}
    return _("the mailbox has another address: letters collected as %(mailbox)s are recognised") % about


def continued(account: Source) -> str:
    """That a ledger continues the one of `account`."""
    return _("Letters collected as %(mailbox)s are recognised.") % {"mailbox": mailbox_name(account)}


def would_recognise() -> str:
    """What a dry run leaves out if the ledger continues another one."""
    return _("Of these, what was collected under the former address is recognised, and not delivered again.")


def offered(account: Source, letters: int, *, same_mailbox: bool) -> str:
    """A ledger without a rule that a new rule may continue."""
    about = {"ledger": with_letters(account, letters)}
    if same_mailbox:
        return _("the same mailbox as %(ledger)s: these are recognised") % about
    return _("perhaps the same mailbox as %(ledger)s, which no rule reads any more") % about
