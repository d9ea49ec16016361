"""How a poll opens a remote mailbox and looks into it: the account, the listing, the plan, headers that are fetched alone."""

import ipaddress
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from django.utils import timezone

from fetchrules import errors
from fetchrules.delivery.fingerprint import head_print
from fetchrules.ledger import hosts, knowing
from fetchrules.ledger.hosts import Lived, live
from fetchrules.ledger.letters import Filing
from fetchrules.ledger.settled import Settled, settled
from fetchrules.models import FetchRule, ServiceSettings, SourceMailbox
from fetchrules.policy.known import Knowledge
from fetchrules.policy.planning import Plan, Remark, ToFetch, plan
from fetchrules.policy.quiet import quiet_until
from fetchrules.policy.table import Terms
from fetchrules.poll.dating import dated, start_of
from fetchrules.poll.outlasting import rest
from fetchrules.poll.progress import Progress
from fetchrules.remote.account import Account, Deadlines, TargetPolicy
from fetchrules.remote.mailbox import Listed, Listing, RemoteMailbox, TlsLevel
from fetchrules.remote.net import Alive
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
        return Filing(self.progress.run, self.source, knowing.epoch_of(self.source, self.listing), self.into)

    @property
    def into(self) -> str:
        """The folder of the local mailbox for the letters of this session; empty: the usual one."""
        return self.rule.as_rule(MASK).local_folder(self.source.folder)

    @property
    def compared_all(self) -> bool:
        """Whether every letter that may be one of the ledger's by another name was compared with it."""
        asked = len(self.asked) + self.settled
        return not self.plan.unsettled and self.limit is None and asked == len(self.plan.fetch)

    @property
    def saw(self) -> Settled | None:
        """What this session saw, if it leaves nothing to do, until then."""
        if not self.mailbox.state:
            return None
        until = quiet_until(self.listing, self.knowledge, self.plan, self.terms, timezone.now())
        return None if until is None else Settled.of(self.mailbox.state, self.terms, until, self.plan)

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


def look(rule: FetchRule, source: SourceMailbox, progress: Progress) -> Session | Settled:
    """Open the mailbox, list it, and plan; or end there, if it is as it was when the last poll left nothing to do.

    Raises FetchError, leaving nothing open.
    """
    terms = _terms(rule, source)
    known = None if terms.passes_over else settled(source, terms, timezone.now())
    mailbox = _open(rule, source, progress, progress.alive, known)
    try:
        at_once = bool(mailbox.state)
        if known is not None and at_once and _is_as(known, mailbox, source, terms, progress):
            return known
        listing = _listing(mailbox, rule, source, terms, progress.limits.list_at_least)
        if known is not None and not at_once and _is_as(known, mailbox, source, terms, progress):
            return known
        return _session(rule, source, progress, mailbox, listing, terms)
    except BaseException:
        mailbox.close()
        raise


def _is_as(known: Settled, mailbox: RemoteMailbox, source: SourceMailbox, terms: Terms, progress: Progress) -> bool:
    """Whether the mailbox, as far as it is seen, is as it was; then its days are noted, and the session ended."""
    if known.state != mailbox.state or (terms.keepdays is not None and not _live(source, progress).counted):
        return False
    mailbox.quit()
    return True


def look_only(rule: FetchRule, source: SourceMailbox, progress: Progress) -> Plan:
    """What a poll would do. Records nothing. Raises FetchError, leaving nothing open."""
    terms = _terms(rule, source)
    mailbox = _open(rule, source, progress, None, None)
    try:
        listing = _listing(mailbox, rule, source, terms, None)
        made = plan(listing, knowing.knowledge(source, listing), terms, timezone.now())
    except BaseException:
        mailbox.close()
        raise
    mailbox.quit()
    return made


def terms_of(rule: FetchRule, source: SourceMailbox) -> Terms:
    """What decides over the letters of `source`, one of the mailboxes of `rule`."""
    return Terms.of(
        rule.as_rule(MASK),
        restricted=rule.restricted,
        lived=source.lived,
        pass_present=source.pass_present,
        since=start_of(source.since),
    )


def _terms(rule: FetchRule, source: SourceMailbox) -> Terms:
    """Raises PassPresentRefused."""
    terms = terms_of(rule, source)
    if terms.pass_present and not (terms.leaves and rule.as_rule(MASK).judged_by_ledger):
        raise errors.PassPresentRefused
    return terms


def _open(
    rule: FetchRule, source: SourceMailbox, progress: Progress, alive: Alive | None, known: Settled | None
) -> RemoteMailbox:
    account = account_of(rule, source, progress.limits.deadlines)
    state = known.state if known else ""
    rest()
    mailbox = open_mailbox(account, progress.transcript, alive, progress.memory, progress.shared, state)
    progress.connection = mailbox.connection
    progress.stage("login")
    return mailbox


def _session(
    rule: FetchRule,
    source: SourceMailbox,
    progress: Progress,
    mailbox: RemoteMailbox,
    listing: Listing,
    terms: Terms,
) -> Session:
    knowledge = knowing.knowledge(source, listing)
    if terms.keepdays is not None:
        lived = _live(source, progress)
        terms = replace(terms, lived=lived.seconds)
        progress.remark(Remark.UNCOUNTED, 0 if lived.counted else len(knowledge.rows))
    progress.stage("listing")
    if terms.since is not None:
        listing = dated(mailbox, source, listing, knowledge, progress)
        progress.stage("dates")
    made = plan(listing, knowledge, terms, timezone.now())
    until = time.monotonic() + progress.limits.checkpoint_seconds
    return Session(rule, source, mailbox, progress, listing, knowledge, made, terms, until)


def _live(source: SourceMailbox, progress: Progress) -> Lived:
    return live(source, progress.interval, timezone.now())


def _listing(
    mailbox: RemoteMailbox, rule: FetchRule, source: SourceMailbox, terms: Terms, at_least: int | None
) -> Listing:
    """The listing. Raises NoUniqueIds if letters that stay could not be told from new ones.

    After a failure the next poll asks for fewer letters at a time, at least `at_least` (None: record nothing).
    """
    at_once = hosts.list_at_once(source.host) if rule.protocol == Protocol.IMAP else None
    rest()
    try:
        listing = mailbox.listing(at_once)
    except (errors.ConnectionLost, errors.TimedOut, errors.ServerRefused, errors.RemoteProtocolError):
        portion = min(at_once or mailbox.exists, mailbox.exists)
        if at_least is not None and portion > at_least:
            hosts.note_list_at_once(source.host, max(portion // 4, at_least))
        raise
    if (terms.leaves or terms.passes_over) and not listing.has_uids and listing.letters:
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
