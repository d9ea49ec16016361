"""How a poll opens a remote mailbox and looks into it: the account, the listing, the plan, headers that are fetched alone."""

import ipaddress
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.utils import timezone

from fetchrules import errors
from fetchrules.delivery.fingerprint import head_print
from fetchrules.ledger import hosts, knowing
from fetchrules.ledger.hosts import live
from fetchrules.ledger.letters import Filing
from fetchrules.models import FetchRule, ServiceSettings, SourceMailbox
from fetchrules.policy.known import Knowledge
from fetchrules.policy.planning import Plan, Remark, ToFetch, plan
from fetchrules.policy.table import Terms
from fetchrules.poll.progress import Progress
from fetchrules.remote.account import Account, Deadlines, TargetPolicy
from fetchrules.remote.mailbox import Listed, Listing, RemoteMailbox, TlsLevel
from fetchrules.remote.protocols import open_mailbox
from fetchrules.rule import MASK, Encryption, Protocol, Rule
from fetchrules.secrets.sealing import target_of, unseal

_USUAL = Deadlines()

MAIL_PORTS = frozenset({110, 143, 993, 995})


def account_of(row: FetchRule, source: SourceMailbox, deadlines: Deadlines = _USUAL) -> Account:
    """How to open `source` with the rule `row`. Raises PasswordUnreadable."""
    rule = row.as_rule(MASK)
    opened = replace(rule, password=unseal(row.password, target_of(rule)))
    return account_from(opened, source.folder, TlsLevel(row.tls_seen), deadlines, restricted=row.restricted)


def account_from(
    rule: Rule, folder: str, tls_seen: TlsLevel, deadlines: Deadlines = _USUAL, *, restricted: bool
) -> Account:
    """How to open `folder` as `rule`, which has its password, says. `tls_seen`: the best protection seen with it so far."""
    return Account(
        protocol=rule.protocol,
        host=rule.server.strip("[]"),
        port=rule.effective_port,
        user=rule.user,
        password=rule.password,
        encryption=rule.encryption,
        verify=rule.sslcertck,
        fingerprints=rule.sslfingerprint,
        tls_seen=tls_seen,
        host_is_strong=tls_seen in STRONG or (rule.encryption is not Encryption.PLAINTEXT and _is_strong(rule.server)),
        folder=folder,
        way=rule.auth.way,
        deadlines=deadlines if rule.timeout is None else deadlines.within(rule.timeout),
        targets=targets_of(restricted=restricted),
    )


STRONG = frozenset({TlsLevel.UNVERIFIED, TlsLevel.VERIFIED})


def _is_strong(server: str) -> bool:
    """Whether any rule has seen this server with strong ciphers."""
    return FetchRule.objects.filter(server=server, tls_seen__in=STRONG).exists()


def targets_of(*, restricted: bool) -> TargetPolicy:
    """Where a rule may connect to: anywhere; if restricted, to public mail servers and the allowed networks."""
    if not restricted:
        return TargetPolicy()
    networks = ServiceSettings.current().owner_networks.split()
    return TargetPolicy(
        public_only=True,
        ports=MAIL_PORTS,
        allowed_networks=tuple(ipaddress.ip_network(network) for network in networks),
    )


PASSING_FAILURES = 3
"""After so many polls in a row without unique-ids a server that had them counts as one without."""


@dataclass(slots=True)
class Session:
    rule: FetchRule
    source: SourceMailbox
    mailbox: RemoteMailbox
    progress: Progress
    listing: Listing
    knowledge: Knowledge
    plan: Plan
    terms: Terms
    until: float
    asked: list[ToFetch] = field(default_factory=list)
    cut_short: bool = False
    blamed: bool = False
    """It broke over a letter that broke one before, so the letter alone is at fault."""
    limit: errors.FetchError | None = None
    """The server gives no more letters for now."""
    settled: int = 0
    """Letters to fetch that were settled by their headers."""

    @property
    def filing(self) -> Filing:
        return Filing(self.progress.run, self.source, knowing.epoch_of(self.source, self.listing))

    @property
    def compared_all(self) -> bool:
        """Whether every letter that may be one of the ledger's by another name was compared with it."""
        asked = len(self.asked) + self.settled
        return not self.plan.unsettled and self.limit is None and asked == len(self.plan.fetch)

    @property
    def to_fetch(self) -> Sequence[ToFetch]:
        """The planned letters that this poll has not finished with; those with names up to `fetchlimit`."""
        finished = self.progress.finished
        untried = [one for one in self.plan.fetch if not one.named or (self.source.pk, one.letter.uid) not in finished]
        if self.rule.fetchlimit is None:
            return untried
        room = iter(range(self.rule.fetchlimit - self.progress.fetched))
        return [one for one in untried if not one.named or next(room, None) is not None]

    @property
    def reached_fetchlimit(self) -> bool:
        """Whether this poll has fetched as many letters as the rule allows. The count lags behind by a batch."""
        return self.rule.fetchlimit is not None and self.progress.fetched >= self.rule.fetchlimit


def look(rule: FetchRule, source: SourceMailbox, progress: Progress, *, claimed: bool = True) -> Session:
    """Open the mailbox, list it, and plan. Raises FetchError, leaving nothing open. `claimed` False: a dry run, record nothing."""
    spec = rule.as_rule(MASK)
    terms = Terms.of(spec, restricted=rule.restricted, lived=source.lived, pass_present=source.pass_present)
    if terms.pass_present and not (terms.leaves and spec.judged_by_ledger):
        raise errors.PassPresentRefused
    account = account_of(rule, source, progress.limits.deadlines)
    alive = progress.alive if claimed else None
    mailbox = open_mailbox(account, progress.transcript, alive, progress.memory, progress.shared)
    try:
        progress.connection = mailbox.connection
        progress.stage("login")
        at_least = progress.limits.list_at_least if claimed else None
        listing = _listing(mailbox, rule, source, terms, at_least)
        knowledge = knowing.knowledge(source, listing)
        now = timezone.now()
        if terms.keepdays is not None and claimed:
            interval = timedelta(minutes=rule.interval or ServiceSettings.current().interval)
            lived = live(source, interval, now)
            terms = replace(terms, lived=lived.seconds)
            progress.remark(Remark.UNCOUNTED, 0 if lived.counted else len(knowledge.rows))
        progress.stage("listing")
        made = plan(listing, knowledge, terms, now)
        until = time.monotonic() + progress.limits.checkpoint_seconds
        return Session(rule, source, mailbox, progress, listing, knowledge, made, terms, until)
    except BaseException:
        mailbox.close()
        raise


def _listing(
    mailbox: RemoteMailbox, rule: FetchRule, source: SourceMailbox, terms: Terms, at_least: int | None
) -> Listing:
    """The listing. Raises NoUniqueIds if letters that stay could not be told from new ones.

    After a failure the next poll asks for fewer letters at a time, at least `at_least` (None: record nothing).
    """
    at_once = hosts.list_at_once(source.host) if rule.protocol == Protocol.IMAP else None
    try:
        listing = mailbox.listing(at_once)
    except (errors.ConnectionLost, errors.TimedOut, errors.ServerRefused, errors.RemoteProtocolError):
        portion = min(at_once or mailbox.exists, mailbox.exists)
        if at_least is not None and portion > at_least:
            hosts.note_list_at_once(source.host, max(portion // 4, at_least))
        raise
    if (terms.leaves or terms.pass_present) and not listing.has_uids and listing.letters:
        again = rule.last_error == errors.ServerTemporary.code and rule.failures >= PASSING_FAILURES
        if not again and knowing.has_names(source):
            raise errors.ServerTemporary("the server named letters before, and does not now")
        raise errors.NoUniqueIds
    return listing


def heads(
    mailbox: RemoteMailbox, source: SourceMailbox, letters: Iterable[Listed], progress: Progress
) -> Iterator[tuple[Listed, str]]:
    """Each of `letters` with its header's fingerprint, or "" if the server does not give headers alone.

    If the session breaks, the polls of the next day do without headers, so that one bad letter does not hold up the others.
    """
    if not hosts.gives_heads(source, timezone.now()):
        yield from ((letter, "") for letter in letters)
        return
    try:
        for letter, octets in mailbox.heads(letters):
            progress.received(len(octets or b""))
            yield letter, "" if octets is None else head_print(octets)
    except errors.RunOvertaken:
        raise
    except errors.FetchError:
        hosts.heads_broke(source, timezone.now())
        raise
