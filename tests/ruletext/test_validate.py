"""What fields may hold: tables of names, and that forms hear the same as lines."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.delivery.recipients import Recipient
from fetchrules.rule import BOUNDS, MAX_LENGTHS, Encryption, Protocol, Rule
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.validate import fingerprint_fault, password_fault, problems_of, recipient_fault, server_fault
from tests.ruletext.test_laws import law

RULE = Rule("mailserver.ru", Protocol.POP3, "petrov", "petrovpasswd", "i.petrov@mydomain.ru")


@pytest.mark.parametrize(
    "server",
    [
        *(
            "mailserver.ru",
            "a",
            "A-1.Example",
            "mail_server",
            "x" * 63 + ".ru",
            "192.0.2.7",
            "2001:db8::1",
            "::ffff:192.0.2.7",
        ),
        *("почта.рф", "xn--80a1acny.xn--p1ai", "straße.example", "日本語。jp"),
    ],
)
def test_it_takes_a_server(server: str) -> None:
    assert server_fault(server) is None


@pytest.mark.parametrize(
    ("server", "code"),
    [
        ("", Code.FIELD_EMPTY),
        ("mailserver.ru:110", Code.SERVER_WITH_PORT),
        *(
            (name, Code.SERVER_INVALID)
            for name in ("a..b", ".a", "a.", "-a", "a-", "a b", "a/b", "a%b", "x" * 64, "é" * 300)
        ),
        *(
            (name, Code.SERVER_INVALID)
            for name in ("256.1.1.1", "1.2.3", "7", "fe80::1%eth0", "1::2::3", "\u200b", "a\n", "[::1]")
        ),
        (".".join(["a" * 60] * 5), Code.SERVER_INVALID),
    ],
)
def test_it_refuses_what_is_no_server(server: str, code: Code) -> None:
    assert server_fault(server) is code


@pytest.mark.parametrize(
    "recipient",
    [
        "i.petrov@mydomain.ru",
        "localuser@mail_domain",
        "r+tag@a.ru",
        "петров@пример.рф",
        "x" * 64 + "@a",
        "_@a",
        "O'Neil@a.ru",
    ],
)
def test_it_takes_a_local_mailbox(recipient: str) -> None:
    assert recipient_fault(recipient) is None


@pytest.mark.parametrize(
    "recipient",
    [
        *(
            "r",
            "@a.ru",
            "r@",
            "r@a..ru",
            "r@192.0.2.1",
            "r@[::1]",
            ".r@a.ru",
            "r.@a.ru",
            "a..b@a.ru",
            "../x@a.ru",
            "a/b@a.ru",
        ),
        *(
            "-rf@a.ru",
            "a b@a.ru",
            '"a b"@a.ru',
            "a@b@c",
            "a\0b@a.ru",
            "a\n@a.ru",
            "x" * 65 + "@a.ru",
            "r@a.ru\n",
            "e\u0301@a.ru",
            "я" * 33 + "@a.ru",
        ),
    ],
)
def test_it_refuses_what_cannot_become_a_mailbox(recipient: str) -> None:
    assert recipient_fault(recipient) is Code.RECIPIENT_INVALID


@law
@given(st.text(max_size=70).map("{}@a.ru".format) | st.text("azйéß.+_'&~=İ-", max_size=70).map("{}@Пример.рф".format))
def test_it_takes_only_what_can_be_delivered_to(recipient: str) -> None:
    if recipient_fault(recipient) is None:
        Recipient.parse(recipient)


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "a\ud800b"])
def test_it_refuses_what_would_end_a_command(text: str) -> None:
    assert password_fault(text) is Code.CHARACTER_FORBIDDEN
    assert Problem(Code.CHARACTER_FORBIDDEN, field="user") in problems_of(replace(RULE, user=text))


def test_it_takes_any_other_character() -> None:
    assert password_fault("".join(map(chr, range(1, 0x2FFF))).replace("\r", "").replace("\n", "")[:1024]) is None


@pytest.mark.parametrize(
    ("fingerprint", "code"),
    [
        ("", Code.FINGERPRINT_INVALID),
        ("0123456789abcdef" * 4, None),
        ("0123456789abcdef" * 2, Code.FINGERPRINT_MD5),
        ("0123456789ABCDEF" * 4, Code.FINGERPRINT_INVALID),
        ("g" * 64, Code.FINGERPRINT_INVALID),
    ],
)
def test_it_knows_a_fingerprint(fingerprint: str, code: Code | None) -> None:
    assert fingerprint_fault(fingerprint) is code


@pytest.mark.parametrize(("field", "bounds"), BOUNDS.items())
def test_it_holds_numbers_to_their_bounds(field: str, bounds: tuple[int, int]) -> None:
    least, greatest = bounds
    for value in bounds:
        assert not any(problem.is_error for problem in problems_of(replace(RULE, **{field: value})))  # type: ignore[arg-type]
    for value in (least - 1, greatest + 1):
        expected = Problem(Code.NUMBER_OUT_OF_RANGE, field=field, minimum=least, maximum=greatest)
        assert expected in problems_of(replace(RULE, **{field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["user", "password"])
def test_it_holds_fields_to_their_lengths(field: str) -> None:
    longest = "x" * MAX_LENGTHS[field]
    assert problems_of(replace(RULE, **{field: longest})) == ()  # type: ignore[arg-type]
    assert problems_of(replace(RULE, **{field: longest + "x"})) == (Problem(Code.FIELD_TOO_LONG, field=field),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            replace(RULE, folders=("A",)),
            Problem(Code.OPTION_OF_OTHER_PROTOCOL, field="folders", word="folder", other="pop3"),
        ),
        (replace(RULE, keep=True, fetchall=True), Problem(Code.KEEP_FETCHALL, field="fetchall")),
        (replace(RULE, flush=True), Problem(Code.NOKEEP_FLUSH, field="flush")),
        (replace(RULE, port=995), Problem(Code.PORT_UNUSUAL, field="port")),
        (replace(RULE, port=143, encryption=Encryption.SSL), Problem(Code.PORT_UNUSUAL, field="port")),
    ],
)
def test_it_says_what_fields_may_not_be_together(rule: Rule, problem: Problem) -> None:
    assert problems_of(rule) == (problem,)


@pytest.mark.parametrize(
    "rule",
    [
        RULE,
        replace(RULE, keep=True, flush=True),
        replace(RULE, fetchall=True),
        replace(RULE, keepdays=7),
        replace(RULE, encryption=Encryption.SSL, port=995, sslfingerprint=("0" * 64,)),
        replace(RULE, protocol=Protocol.IMAP, folders=("A", "B"), uidl=True, flags=True),
    ],
)
def test_it_has_nothing_to_say_of_a_sensible_rule(rule: Rule) -> None:
    assert problems_of(rule) == ()
