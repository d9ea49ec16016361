"""From nothing to the TRANSACTION state: connected, protected as the rule demands, logged in, and the letters listed.

All that goes out together where the server pipelines. Servers get each of STAT, UIDL and LIST wrong, so each is checked against
the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fetchrules.errors import ConnectionLost, LoginRefused, RemoteProtocolError, ServerRefused, TimedOut, TlsUnavailable
from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import Connection, Listed, Listing
from fetchrules.remote.memory import CapabilityMemory, ServerKey
from fetchrules.remote.net import Alive, connect
from fetchrules.remote.pop3.conversation import Conversation, is_limited, refusal
from fetchrules.remote.pop3.grammar import (
    Capabilities,
    Status,
    StatusLine,
    capabilities,
    drop_listing,
    scan_listings,
    unique_id_listings,
)
from fetchrules.remote.pop3.protocol import (
    AUTH_PLAIN,
    CAPA,
    LIST,
    STAT,
    STLS,
    UIDL,
    UTF8,
    Command,
    Reply,
    Verb,
    plain_credentials,
)
from fetchrules.remote.tls import UNPROTECTED, Demand, Protection, Start, Trust, secure
from fetchrules.remote.transcript import Secrets, Trace


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that waits for a login. `recalled`: the capabilities are those of last time, not of this session."""

    conversation: Conversation
    protection: Protection
    greeting: StatusLine
    capabilities: Capabilities
    recalled: bool
    key: ServerKey
    memory: CapabilityMemory

    def connection(self) -> Connection:
        return Connection(
            address=self.conversation.stream.address,
            tls=self.protection.level,
            tls_version=self.protection.version,
            certificate=self.protection.certificate,
            greeting=self.conversation.masked(self.greeting.text),
            capabilities=self.capabilities.lines,
        )


def reach(
    account: Account,
    demand: Demand,
    trust: Trust,
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
        protection = secure(stream, account, demand.check, trust)
        conversation.note(f"{protection.version}, certificate {protection.level.value}")
        return protection

    try:
        return _introduce(conversation, account, demand.start, secured, memory)
    except BaseException:
        conversation.close()
        raise


def _introduce(
    conversation: Conversation,
    account: Account,
    start: Start,
    secured: Callable[[], Protection],
    memory: CapabilityMemory,
) -> Reached:
    protection = secured() if start is Start.AT_ONCE else UNPROTECTED
    greeting = conversation.greeting()
    if greeting.status is not Status.OK:
        raise refusal(greeting, conversation.masked(greeting.text), ServerRefused)
    # Without TLS the server is asked in every session, even if it is remembered: it may offer STLS since yesterday, and then the
    # password must not go in the clear.
    announced = _announced(conversation) if start is Start.IF_OFFERED else None
    if start is Start.STARTTLS or (announced is not None and announced.has("STLS")):
        if conversation.ask(STLS).line.status is Status.OK:
            conversation.protocol.begin_tls()
            protection, announced = secured(), None
        elif start is Start.STARTTLS:
            raise TlsUnavailable("the server refuses STLS")
    key = ServerKey(account.host, account.port, protection is not UNPROTECTED)
    recalled = memory.recall(key) if announced is None else None
    known = announced or recalled or _announced(conversation)
    memory.remember(key, known)
    conversation.protocol.pipelining = memory.pipelines(key, known)
    conversation.judge = memory.judge(key)
    return Reached(conversation, protection, greeting, known, recalled is not None, key, memory)


def _announced(conversation: Conversation) -> Capabilities:
    """What the server says it can do. One that does not know CAPA can do what RFC 1939 says."""
    reply = conversation.ask(CAPA)
    return capabilities(reply.body) if reply.line.status is Status.OK else Capabilities()


def log_in(reached: Reached, account: Account) -> Listing:
    """Log in and list. Raises LoginRefused, MailboxBusy, LoginDelay, ServerTemporary, … and the stream's errors."""
    try:
        return _log_in(reached, account)
    except (RemoteProtocolError, ConnectionLost, TimedOut):
        # The server may have changed since we remembered it, and not understand what we sent together.
        reached.memory.forget(reached.key)
        raise


def _log_in(reached: Reached, account: Account) -> Listing:
    conversation, announced = reached.conversation, reached.capabilities
    # CAPA costs no round trip here, and keeps what is remembered no older than one poll.
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
    if _lists_none(stat, uidl, scan):
        # Complete, so that "count what lies there as collected" works on an empty mailbox. It proves no letter absent.
        return Listing(complete=True)
    if scan.line.status is not Status.OK:
        raise _refused(conversation, scan, ServerRefused)
    if uidl.line.status is not Status.OK and (_has_a_reason(uidl) or announced.has("UIDL")):
        # The server has unique-ids and does not give them now. As a server without them, it would make every letter look new.
        raise _refused(conversation, uidl, ServerRefused)
    return _listing(stat, uidl, scan)


def _exchange(reached: Reached, commands: Sequence[Command]) -> dict[Verb, Reply]:
    """The replies by verb. A refused login is raised at once: many servers hang up behind it."""
    answers = {}
    for reply in reached.conversation.replies(commands):
        verb, refused = reply.command.verb, reply.line.status is not Status.OK
        if verb in (Verb.USER, Verb.PASS) and refused:
            raise _refused(reached.conversation, reply, LoginRefused)
        if verb is Verb.CAPA and not refused:
            announced = capabilities(reply.body)
            reached.memory.remember(reached.key, announced)
            reached.conversation.protocol.pipelining = reached.memory.pipelines(reached.key, announced)
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


def _lists_none(stat: Reply, uidl: Reply, scan: Reply) -> bool:
    """Whether the mailbox is empty: STAT says so and no list contradicts. Some servers refuse to list an empty mailbox."""
    if stat.line.status is not Status.OK or drop_listing(stat.line.text) != 0:
        return False
    return not any(reply.body or _has_a_reason(reply) for reply in (uidl, scan))


def _has_a_reason(refused: Reply) -> bool:
    """Whether a list is refused for a reason that passes (busy, a response code), not because the server has no such list."""
    return bool(refused.line.code) or is_limited(refused.line)


def _listing(stat: Reply, uidl: Reply, scan: Reply) -> Listing:
    """The letters that UIDL and LIST agree on; complete if STAT counts as many and they differ in none.

    `scan`, the answer to LIST, is positive; a negative `uidl` means a server without unique-ids. Raises RemoteProtocolError.
    """
    sizes = scan_listings(scan.body)
    announced = drop_listing(stat.line.text) if stat.line.status is Status.OK else None
    has_uids = uidl.line.status is Status.OK
    uids = unique_id_listings(uidl.body) if has_uids else dict.fromkeys(sizes, "")
    # A letter without a size, or without a unique-id among letters that have one, is left to the next listing.
    letters = tuple(Listed(number, uids[number], sizes[number]) for number in sorted(uids.keys() & sizes.keys()))
    return Listing(
        letters=letters,
        complete=announced == len(sizes) and uids.keys() == sizes.keys(),
        has_uids=has_uids,
        octets=sum(letter.size for letter in letters),
        unlisted=max(announced or 0, len(uids.keys() | sizes.keys())) - len(letters),
    )
