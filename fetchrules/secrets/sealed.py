"""Everything that is sealed with the password keys: passwords of rules and revisions, and drafts in sessions."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from fetchrules.errors import PasswordMissing, PasswordUnreadable
from fetchrules.models import FetchRule, Pause, Revision
from fetchrules.rule import MASK
from fetchrules.ruletext.document import parse
from fetchrules.secrets.sealing import KeyRing, key_id, target_of


class SealedDraft(StrEnum):
    """The keys of a session whose values are sealed."""

    TEXT = "text_draft"
    LINE = "pasted_rule"

    def target(self, user_id: object) -> str:
        """The target of its token: it opens for this user only."""
        return f"{self.value.replace('_', ' ')}\n{user_id}"


@dataclass(slots=True)
class Uses:
    """How many tokens are sealed with each key, by its id. Damaged tokens count under the empty id."""

    rules: Counter[str] = field(default_factory=Counter)
    revisions: Counter[str] = field(default_factory=Counter)
    drafts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def now(cls) -> "Uses":
        uses = cls()
        tokens = FetchRule.objects.exclude(password="").order_by().values_list("password", flat=True)
        uses.rules.update(map(key_id, tokens.iterator()))
        for passwords in Revision.objects.values_list("passwords", flat=True).iterator():
            uses.revisions.update(key_id(token) for token in passwords if token)
        uses.drafts.update(
            key_id(content[draft]) for _, content in _sessions() for draft in SealedDraft if draft in content
        )
        return uses

    def of(self, key: str) -> int:
        return self.rules[key] + self.revisions[key] + self.drafts[key]


@dataclass(slots=True)
class SealedAgain:
    """How much was sealed anew; `sealed` counts passwords of rules. `unreadable`: the rules whose passwords open with no key."""

    sealed: int = 0
    revisions: int = 0
    drafts: int = 0
    unreadable: list[int] = field(default_factory=list)


def rules_without_key(ring: KeyRing) -> int:
    """How many rules have a password whose key is not in `ring`."""
    rules = FetchRule.objects.filter(password__startswith="v1:")  # noqa: S106 (of any token)
    for key in ring.keys:
        rules = rules.exclude(password__startswith=f"v1:{key.id}:")
    return rules.count()


def seal_again(ring: KeyRing) -> SealedAgain:
    """Seal everything that opens with an older key of `ring` with its current one. Rows that change meanwhile are skipped."""
    done = SealedAgain()
    fresh: dict[str, str] = {}
    for rule in FetchRule.objects.exclude(password="").iterator():
        if not ring.is_current(rule.password):
            try:
                fresh[rule.password] = _again(ring, rule.password, target_of(rule.as_rule(MASK)))
            except PasswordUnreadable:
                done.unreadable.append(rule.id)
                continue
            same = FetchRule.objects.filter(id=rule.id, password=rule.password)
            done.sealed += same.update(password=fresh[rule.password])
    for revision in Revision.objects.iterator(chunk_size=1):
        passwords = _passwords_again(ring, revision, fresh)
        if passwords != revision.passwords:
            done.revisions += Revision.objects.filter(id=revision.id).update(passwords=passwords)
    for session, content in _sessions():
        done.drafts += _replace(session, _drafts_again(ring, content))
    return done


def give_up(ring: KeyRing, now: datetime) -> list[int]:
    """Delete the passwords that `ring` does not open. Returns the ids of the rules that now wait for a new one."""
    lost = []
    for rule in FetchRule.objects.exclude(password="").iterator():
        try:
            ring.unseal(rule.password, target_of(rule.as_rule(MASK)))
        except PasswordUnreadable:
            same = FetchRule.objects.filter(id=rule.id, password=rule.password)
            since = {"failing_since": Coalesce("failing_since", Value(now)), "counted_since": now}
            missing = {"last_error": PasswordMissing.code, "last_detail": "", "failures": 1}
            if same.update(password="", pause=Pause.FAILURE, **missing, **since):
                lost.append(rule.id)
    known = {key.id for key in ring.keys}
    for revision in Revision.objects.iterator(chunk_size=1):
        passwords = [token if key_id(token) in known else "" for token in revision.passwords]
        if passwords != revision.passwords:
            Revision.objects.filter(id=revision.id).update(passwords=passwords)
    for session, content in _sessions():
        _replace(session, {draft: None for draft in SealedDraft if key_id(content.get(draft, "")) not in {"", *known}})
    return lost


def _again(ring: KeyRing, token: str, target: str) -> str:
    return ring.seal(ring.unseal(token, target), target)


def _passwords_again(ring: KeyRing, revision: Revision, fresh: dict[str, str]) -> list[str]:
    """The revision's tokens under the current key. `fresh` maps old tokens to new ones; it grows, and most are in it already."""
    old = [token for token in revision.passwords if token and not ring.is_current(token)]
    if any(token not in fresh for token in old):
        rules = (line.rule for line in parse(revision.text).lines if line.rule)
        for token, rule in zip(revision.passwords, rules, strict=False):
            if token in old and token not in fresh:
                try:
                    fresh[token] = _again(ring, token, target_of(rule))
                except PasswordUnreadable:
                    fresh[token] = token  # `Uses` still counts it under its old key
    return [fresh.get(token, token) for token in revision.passwords]


def _sessions() -> Iterator[tuple[Session, dict[str, str]]]:
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        yield session, session.get_decoded()


def _drafts_again(ring: KeyRing, content: dict[str, str]) -> dict[SealedDraft, str | None]:
    """New tokens for a session's drafts. None means that a draft does not open and is deleted."""
    found: dict[SealedDraft, str | None] = {}
    for draft in SealedDraft:
        if draft in content and not ring.is_current(content[draft]):
            try:
                found[draft] = _again(ring, content[draft], draft.target(content.get(SESSION_KEY)))
            except PasswordUnreadable:
                found[draft] = None
    return found


def _replace(session: Session, tokens: dict[SealedDraft, str | None]) -> int:
    """Store new tokens, unless the session has changed meanwhile. Returns how many were stored."""
    if not tokens:
        return 0
    content = session.get_decoded()
    for draft, token in tokens.items():
        content.pop(draft, None)
        if token is not None:
            content[draft] = token
    same = Session.objects.filter(session_key=session.session_key, session_data=session.session_data)
    return len(tokens) * same.update(session_data=SessionStore().encode(content))
