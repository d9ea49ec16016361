"""What a rule does to new and to old letters, in sentences."""

from django.utils.translation import gettext as _

from fetchrules.policy.table import Action, Terms, decide
from fetchrules.rule import Protocol, Rule
from fetchrules.words import amounts


def sentences(rule: Rule, usual_interval: int) -> list[str]:
    """New letters, old letters, marks and limits, schedule. `usual_interval` is the service's, in minutes."""
    return [_new(rule), _old(rule), *_limits(rule), _schedule(rule, usual_interval)]


def what_is_new(rule: Rule) -> str:
    """Which letters count as new: a rule's first poll meets what has lain on the server for years."""
    if rule.protocol is Protocol.IMAP and not rule.uidl:
        return _("New: not collected here yet and unread on the server, however long it has been lying there.")
    return _("New: not collected here yet, however long it has been lying on the server.")


def _new(rule: Rule) -> str:
    where = {"mailbox": rule.recipient}
    if rule.keepdays is not None:
        days = amounts.minutes(rule.keepdays * 1440)
        return _("New letters go to %(mailbox)s; %(days)s later they are deleted from the server.") % {
            **where,
            "days": days,
        }
    if rule.keep and rule.flush and not rule.fetchall:
        return (
            _("New letters go to %(mailbox)s and stay on the server until the next poll, which deletes them.") % where
        )
    if rule.keep:
        return _("New letters go to %(mailbox)s and stay on the server.") % where
    return _("New letters go to %(mailbox)s and are deleted from the server at once.") % where


def _old(rule: Rule) -> str:
    match decide(True, Terms.of(rule)):
        case Action.LEAVE if rule.keepdays is not None:
            return _("Letters collected before are not fetched again.")
        case Action.LEAVE:
            return _("Letters collected before are left alone.")
        case Action.DELETE:
            return _("Letters collected before are deleted from the server, before anything is fetched.")
        case Action.FETCH_DELETE:
            return _(
                "Letters collected before are fetched once more and deleted: the remote mailbox is empty after each poll."
            )
        case Action.FETCH_LEAVE:
            return _("Letters collected before are fetched again at every poll: duplicates without end.")


def _limits(rule: Rule) -> list[str]:
    said = []
    if rule.flags:
        said.append(_("Letters that are read, flagged or answered on the server are so in the local mailbox."))
    if rule.limit is not None:
        said.append(_("Letters larger than %(size)s stay on the server.") % {"size": amounts.octets(rule.limit)})
    if rule.fetchlimit is not None:
        said.append(_("At most %(letters)s in one poll.") % {"letters": amounts.letters(rule.fetchlimit)})
    return said


def _schedule(rule: Rule, usual_interval: int) -> str:
    if rule.skip:
        return _("The rule is off: nothing happens until it is switched on.")
    return _("Polled every %(interval)s, for the first time at once.") % {
        "interval": amounts.minutes(rule.interval or usual_interval)
    }
