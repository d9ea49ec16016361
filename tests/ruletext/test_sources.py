"""Which mailbox a rule reads, who may share one, which line is which rule, and when a password may stay."""

from dataclasses import replace

import pytest

from fetchrules.rule import Auth, Encryption, Protocol, Rule
from fetchrules.ruletext.matching import Match, match
from fetchrules.ruletext.sources import Claims, Source, keeps_password, sources_of

POP = Rule("mailserver.ru", Protocol.POP3, "petrov", "p", "i.petrov@mydomain.ru")
IMAP = replace(POP, protocol=Protocol.IMAP)
KEEP = replace(POP, keep=True)
SSL = replace(POP, encryption=Encryption.SSL)
ANYBODY = replace(SSL, sslcertck=False)
CLEAR = replace(POP, encryption=Encryption.PLAINTEXT)


@pytest.mark.parametrize(
    ("rule", "sources"),
    [
        (POP, [Source(Protocol.POP3, "mailserver.ru", 0, "petrov", "")]),
        (replace(SSL, port=995), [Source(Protocol.POP3, "mailserver.ru", 0, "petrov", "")]),
        (replace(POP, port=1110), [Source(Protocol.POP3, "mailserver.ru", 1110, "petrov", "")]),
        (replace(POP, server="MailServer.RU"), [Source(Protocol.POP3, "mailserver.ru", 0, "petrov", "")]),
        (replace(POP, server="Почта.рф"), [Source(Protocol.POP3, "xn--80a1acny.xn--p1ai", 0, "petrov", "")]),
        (replace(POP, server="2001:DB8:0::1"), [Source(Protocol.POP3, "2001:db8::1", 0, "petrov", "")]),
        (IMAP, [Source(Protocol.IMAP, "mailserver.ru", 0, "petrov", "INBOX")]),
        (
            replace(IMAP, folders=("inbox", "Sent")),
            [Source(Protocol.IMAP, "mailserver.ru", 0, "petrov", folder) for folder in ("INBOX", "Sent")],
        ),
    ],
)
def test_it_names_the_mailbox_whatever_the_way_to_it(rule: Rule, sources: list[Source]) -> None:
    assert list(sources_of(rule)) == sources


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (POP, POP, True),
        (POP, SSL, True),
        (KEEP, POP, True),
        (POP, KEEP, True),
        (KEEP, KEEP, False),
        (POP, IMAP, False),
        (POP, replace(POP, skip=True), False),
        (replace(POP, skip=True), POP, False),
        (replace(IMAP, folders=("A",)), replace(IMAP, folders=("B", "A")), True),
        (replace(IMAP, folders=("A",)), replace(IMAP, folders=("B",)), False),
        (IMAP, replace(IMAP, folders=("Inbox",)), True),
    ],
)
def test_it_lets_two_rules_share_a_mailbox_if_both_keep_its_mail(first: Rule, second: Rule, clash: bool) -> None:
    claims: Claims[str] = Claims()
    assert claims.claim(first, "first") is None
    assert claims.claim(second, "second") == ("first" if clash else None)


OTHER = replace(POP, user="ivanov", recipient="i.ivanov@mydomain.ru")


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ([POP, OTHER], [POP, OTHER], [Match(0, True), Match(1, True)]),
        ([OTHER, POP], [POP, OTHER], [Match(1, True), Match(0, True)]),
        ([replace(POP, password="q", keep=True)], [OTHER, POP], [Match(1, True)]),
        ([replace(POP, recipient="new@mydomain.ru")], [POP], [Match(0, True)]),
        ([SSL, OTHER], [OTHER, POP], [Match(1, True), Match(0, True)]),
        ([IMAP], [POP], [Match(0, True)]),
        ([replace(POP, server="other.ru")], [POP], [Match(0, True)]),
        ([replace(POP, user="petroff")], [POP, OTHER], [Match(0, True)]),
        ([replace(POP, server="other.ru", user="petroff")], [POP], [None]),
        # Of two rules for one account the one with the same local mailbox is meant, and where neither has it, no one knows.
        ([KEEP], [replace(KEEP, recipient="x@a.ru"), KEEP], [Match(1, True)]),
        ([replace(KEEP, recipient="y@a.ru")], [replace(KEEP, recipient="x@a.ru"), KEEP], [Match(0, False)]),
        ([KEEP, KEEP], [KEEP], [Match(0, False), None]),
        ([], [POP], []),
        ([POP], [], [None]),
    ],
)
def test_it_knows_a_rule_again(new: list[Rule], old: list[Rule], expected: list[Match | None]) -> None:
    assert list(match(new, old)) == expected


@pytest.mark.parametrize(
    ("old", "new", "keeps"),
    [
        (POP, replace(POP, recipient="x@a.ru", keep=True, limit=5, folders=()), True),
        (POP, replace(POP, encryption=Encryption.SSL), True),
        (POP, replace(POP, encryption=Encryption.STARTTLS), True),
        (POP, replace(POP, server="MAILSERVER.ru"), True),
        (SSL, replace(SSL, encryption=Encryption.STARTTLS), True),
        (replace(POP, sslcertck=False), POP, True),
        (POP, replace(POP, encryption=Encryption.PLAINTEXT), False),
        (SSL, POP, False),
        (SSL, replace(SSL, sslcertck=False), False),
        (SSL, replace(SSL, sslfingerprint=("0" * 64,)), False),
        (replace(SSL, sslfingerprint=("0" * 64, "1" * 64)), replace(SSL, sslfingerprint=("1" * 64,)), True),
        (replace(SSL, sslfingerprint=("0" * 64, "1" * 64)), replace(SSL, sslfingerprint=("1" * 64, "2" * 64)), False),
        (replace(SSL, sslfingerprint=("0" * 64,)), SSL, False),
        (CLEAR, replace(CLEAR, auth=Auth.CRAM_MD5), True),
        (CLEAR, replace(CLEAR, auth=Auth.PASSWORD), False),
        (POP, replace(POP, auth=Auth.LOGIN), False),
        (replace(POP, auth=Auth.PLAIN), replace(POP, auth=Auth.PASSWORD), True),
        (replace(POP, auth=Auth.PLAIN), POP, True),
        (replace(POP, auth=Auth.SCRAM_SHA_1), replace(POP, auth=Auth.SCRAM_SHA_256), True),
        (replace(POP, auth=Auth.SCRAM_SHA_1), replace(POP, auth=Auth.APOP), False),
        (replace(POP, auth=Auth.APOP), POP, False),
        (SSL, replace(SSL, auth=Auth.PASSWORD), True),
        (replace(SSL, auth=Auth.SCRAM_SHA_1), replace(SSL, auth=Auth.PASSWORD), True),
        (replace(ANYBODY, auth=Auth.SCRAM_SHA_1), ANYBODY, False),
        (
            replace(ANYBODY, sslfingerprint=("0" * 64,)),
            replace(ANYBODY, sslfingerprint=("0" * 64,), auth=Auth.PLAIN),
            True,
        ),
        (POP, replace(POP, server="evil.ru"), False),
        (POP, replace(POP, user="ivanov"), False),
        (POP, replace(POP, port=1110), False),
        (POP, IMAP, False),
    ],
)
def test_it_lets_a_password_go_nowhere_else_and_no_worse_protected(old: Rule, new: Rule, keeps: bool) -> None:
    assert keeps_password(old, new) is keeps
