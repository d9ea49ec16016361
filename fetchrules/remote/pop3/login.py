"""From the connection to the TRANSACTION state of POP3, with the letters listed, in one burst where the server pipelines.

Servers get each of STAT, UIDL and LIST wrong, so each is checked against the others.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from fetchrules.errors import ConnectionLost, LoginRefused, RemoteProtocolError, ServerRefused, TimedOut, TlsUnavailable
from fetchrules.remote.account import Account, ServerKey
from fetchrules.remote.mailbox import Connection, Listed, Listing
from fetchrules.remote.memory import CapabilityMemory
from fetchrules.remote.net import Alive, connect
from fetchrules.remote.pop3.conversation import Conversation, is_limited
from fetchrules.remote.pop3.grammar import (
    Capabilities,
    Status,
    StatusLine,
    capabilities,
    drop_listing,
    scan_listings,
    unique_id_listings,
)
from fetchrules.remote.pop3.protocol import Command, Reply, Verb, plain_credentials
from fetchrules.remote.tls import UNPROTECTED, Demand, Protection, Start, secure
from fetchrules.remote.transcript import Secrets, Trace


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that waits for a login. `recalled`: the capabilities are those of a former session."""

    conversation: Conversation
    protection: Protection
    greeting: StatusLine
    capabilities: Capabilities
    recalled: bool
    key: ServerKey
    memory: CapabilityMemory

    def connection(self) -> Connection:
        greeting = self.conversation.masked(self.greeting.text)
        return self.protection.connection(self.conversation.stream.address, greeting, self.capabilities.lines)


def reach(
    account: Account,
    demand: Demand,
    cafile: str,
    trace: Trace | None,
    memory: CapabilityMemory,
    alive: Alive | None = None,
) -> Reached:
    """Connect, and stop before the login. Raises FetchError; then nothing is left open."""
    secrets = Secrets.of(account.password, plain_credentials(account.user, account.password).argument)
    stream = connect(account.host, account.port, account.deadlines, account.targets, alive)
    conversation = Conversation(stream, secrets, trace)
    conversation.note(f"connected to {stream.address} port {account.port}")

    def secured() -> Protection:
        protection = secure(stream, account, demand.check, cafile)
        conversation.note(f"{protection.version}, certificate {protection.level.value}")
        return protection

    with ExitStack() as undo:
        undo.callback(conversation.close)
        protection = secured() if demand.start is Start.AT_ONCE else UNPROTECTED
        greeting = conversation.greeting()
        if greeting.status is not Status.OK:
            raise conversation.refused(greeting, ServerRefused)
        # Without TLS the server is asked in every session: where it offers STLS by now, the password must not go in the clear.
        announced = _announced(conversation) if demand.start is Start.IF_OFFERED else None
        if demand.start is Start.STARTTLS or (announced is not None and announced.has("STLS")):
            if conversation.ask(Command(Verb.STLS)).line.status is Status.OK:
                conversation.protocol.begin_tls()
                protection, announced = secured(), None
            elif demand.start is Start.STARTTLS:
                raise TlsUnavailable("the server refuses STLS")
        key = ServerKey(account.host, account.port, protection is not UNPROTECTED)
        recalled = memory.recall(key) if announced is None else None
        known = announced or recalled or _announced(conversation)
        memory.remember(key, known)
        conversation.protocol.pipelining = memory.pipelines(key, known)
        conversation.judge = memory.judge(key)
        undo.pop_all()
    return Reached(conversation, protection, greeting, known, recalled is not None, key, memory)


def _announced(conversation: Conversation) -> Capabilities:
    reply = conversation.ask(Command(Verb.CAPA))
    return capabilities(reply.body) if reply.line.status is Status.OK else Capabilities()


def log_in(reached: Reached, account: Account) -> Listing:
    """Log in and list. Raises LoginRefused, MailboxBusy, LoginDelay, ServerTemporary, … and the stream's errors."""
    try:
        return _log_in(reached, account)
    except (RemoteProtocolError, ConnectionLost, TimedOut):
        # The server may have changed, and not understand what we sent together.
        reached.memory.forget(reached.key)
        raise


def _log_in(reached: Reached, account: Account) -> Listing:
    conversation, announced = reached.conversation, reached.capabilities
    # CAPA costs no round trip here, and renews what is remembered.
    commands = [Command(Verb.CAPA)] if reached.recalled else []
    if announced.has("UTF8"):
        commands.append(Command(Verb.UTF8))  # RFC 6856: without it, letters may come rewritten into ASCII
    if _needs_sasl(account, announced):
        _exchange(reached, commands)
        _authenticate(conversation, account)
        commands = []
    else:
        commands += [Command(Verb.USER, account.user), Command(Verb.PASS, account.password)]
    answers = _exchange(reached, [*commands, Command(Verb.STAT), Command(Verb.UIDL), Command(Verb.LIST)])
    stat, uidl, scan = (answers[verb] for verb in (Verb.STAT, Verb.UIDL, Verb.LIST))
    if _lists_none(stat, uidl, scan):
        # Complete, so that present letters of an empty mailbox can count as collected. It proves no letter absent.
        return Listing(complete=True)
    if scan.line.status is not Status.OK:
        raise conversation.refused(scan.line, ServerRefused)
    if uidl.line.status is not Status.OK and (_has_a_reason(uidl) or announced.has("UIDL")):
        # The server has unique-ids but does not list them now. Without them every letter would look new.
        raise conversation.refused(uidl.line, ServerRefused)
    return _listing(stat, uidl, scan)


def _exchange(reached: Reached, commands: Sequence[Command]) -> dict[Verb, Reply]:
    """The replies by verb. Raises a refused login at once, because many servers then hang up."""
    answers = {}
    for reply in reached.conversation.replies(commands):
        verb, refused = reply.command.verb, reply.line.status is not Status.OK
        if verb in (Verb.USER, Verb.PASS) and refused:
            raise reached.conversation.refused(reply.line, LoginRefused)
        if verb is Verb.CAPA and not refused:
            announced = capabilities(reply.body)
            reached.memory.remember(reached.key, announced)
            reached.conversation.protocol.pipelining = reached.memory.pipelines(reached.key, announced)
        answers[verb] = reply
    return answers


def _needs_sasl(account: Account, announced: Capabilities) -> bool:
    """Whether USER and PASS are not announced, or cannot say this name or password."""
    if not announced.has("SASL", "PLAIN"):
        return False
    sayable = account.user.isascii() and " " not in account.user and account.password.isascii()
    return not sayable or not announced.has("USER")


def _authenticate(conversation: Conversation, account: Account) -> None:
    """RFC 5034, in two steps: servers of RFC 1734 do not know the one-step form."""
    reply = conversation.ask(Command(Verb.AUTH, "PLAIN"))
    if reply.line.status is Status.CONTINUE:
        reply = conversation.ask(plain_credentials(account.user, account.password))
    if reply.line.status is not Status.OK:
        raise conversation.refused(reply.line, LoginRefused)


def _lists_none(stat: Reply, uidl: Reply, scan: Reply) -> bool:
    """Whether STAT says so and no list contradicts; some servers refuse to list an empty mailbox."""
    if stat.line.status is not Status.OK or drop_listing(stat.line.text) != 0:
        return False
    return not any(reply.body or _has_a_reason(reply) for reply in (uidl, scan))


def _has_a_reason(refused: Reply) -> bool:
    """Whether a list is refused for a passing reason, not because the server has no such list."""
    return bool(refused.line.code) or is_limited(refused.line)


def _listing(stat: Reply, uidl: Reply, scan: Reply) -> Listing:
    """The letters in both UIDL and LIST; complete if both have the same letters, as many as STAT counts.

    `scan`, the answer to LIST, is positive; a negative `uidl` means a server without unique-ids. Raises RemoteProtocolError.
    """
    sizes = scan_listings(scan.body)
    announced = drop_listing(stat.line.text) if stat.line.status is Status.OK else None
    has_uids = uidl.line.status is Status.OK
    uids = unique_id_listings(uidl.body) if has_uids else dict.fromkeys(sizes, "")
    # A letter that only one of the two has is left to the next listing.
    letters = tuple(Listed(number, uids[number], sizes[number]) for number in sorted(uids.keys() & sizes.keys()))
    return Listing(
        letters=letters,
        complete=announced == len(sizes) and uids.keys() == sizes.keys(),
        has_uids=has_uids,
        unlisted=max(announced or 0, len(uids.keys() | sizes.keys())) - len(letters),
    )
