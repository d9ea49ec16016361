"""From the AUTHORIZATION to the TRANSACTION state, and the listing on the way: in one go where the server pipelines."""

from collections.abc import Sequence

from fetchrules.errors import ConnectionLost, LoginRefused, RemoteProtocolError, ServerRefused, TimedOut
from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import Listing
from fetchrules.remote.pop3.commands import AUTH_PLAIN, CAPA, LIST, STAT, UIDL, UTF8, Command, Verb, plain_credentials
from fetchrules.remote.pop3.conversation import Conversation
from fetchrules.remote.pop3.events import Reply
from fetchrules.remote.pop3.grammar import Capabilities, Status, capabilities
from fetchrules.remote.pop3.listing import has_a_reason, listing, tells_of_none
from fetchrules.remote.pop3.opening import MEMORY, Reached
from fetchrules.remote.pop3.refusals import refusal


def log_in(reached: Reached, account: Account) -> Listing:
    """Log in and list. Raises LoginRefused, MailboxBusy, LoginDelay, ServerTemporary, … and the stream's errors."""
    try:
        return _log_in(reached, account)
    except (RemoteProtocolError, ConnectionLost, TimedOut):
        # The server may not be what we remember any more, and have choked on what we sent together.
        MEMORY.forget(reached.key)
        raise


def _log_in(reached: Reached, account: Account) -> Listing:
    conversation, announced = reached.conversation, reached.capabilities
    # Asked on the way, where it costs no round trip, so that what is remembered is never older than one poll.
    commands = [CAPA] if reached.recalled else []
    if announced.has("UTF8"):
        commands.append(UTF8)  # RFC 6856: without it, letters may come rewritten into ASCII
    if _needs_sasl(account, announced):
        _exchange(reached, commands)
        _authenticate(conversation, account)
        commands = []
    else:
        commands += [Command(Verb.USER, account.user), Command(Verb.PASS, account.password)]
    answers = _exchange(reached, [*commands, STAT, UIDL, LIST])
    stat, uidl, scan = (answers[verb] for verb in (Verb.STAT, Verb.UIDL, Verb.LIST))
    if tells_of_none(stat, uidl, scan):
        # Complete, so that what lies there may count as collected, and the first letter that comes then is a new one. That
        # any are gone is proved by no listing without letters.
        return Listing(complete=True)
    if scan.line.status is not Status.OK:
        raise _refused(conversation, scan, ServerRefused)
    if uidl.line.status is not Status.OK and (has_a_reason(uidl) or announced.has("UIDL")):
        # It knows unique-ids and keeps them back. Taken for a server without them, every letter would look new.
        raise _refused(conversation, uidl, ServerRefused)
    return listing(stat, uidl, scan)


def _exchange(reached: Reached, commands: Sequence[Command]) -> dict[Verb, Reply]:
    """The replies by verb. A refused login is raised at once: many servers hang up behind it."""
    answers = {}
    for reply in reached.conversation.replies(commands):
        verb, refused = reply.command.verb, reply.line.status is not Status.OK
        if verb in (Verb.USER, Verb.PASS) and refused:
            raise _refused(reached.conversation, reply, LoginRefused)
        if verb is Verb.CAPA and not refused:
            announced = capabilities(reply.body)
            MEMORY.remember(reached.key, announced)
            reached.conversation.protocol.pipelining = MEMORY.pipelines(reached.key, announced)
        answers[verb] = reply
    return answers


def _needs_sasl(account: Account, announced: Capabilities) -> bool:
    """Whether USER and PASS will not do: not announced, or unable to say this name or password."""
    if not announced.has("SASL", "PLAIN"):
        return False
    sayable = account.user.isascii() and " " not in account.user and account.password.isascii()
    return not sayable or not announced.has("USER")


def _authenticate(conversation: Conversation, account: Account) -> None:
    """RFC 5034. In two steps: the one-step form is not known to servers that learnt AUTH from RFC 1734."""
    reply = conversation.ask(AUTH_PLAIN)
    if reply.line.status is Status.CONTINUE:
        reply = conversation.ask(plain_credentials(account.user, account.password))
    if reply.line.status is not Status.OK:
        raise _refused(conversation, reply, LoginRefused)


def _refused(conversation: Conversation, reply: Reply, otherwise: type[LoginRefused | ServerRefused]) -> Exception:
    return refusal(reply.line, conversation.masked(reply.line.text), otherwise)
