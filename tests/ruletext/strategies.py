"""Valid rules, lines and texts, made up by hypothesis."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fetchrules.rule import BOUNDS, MASK, Auth, Encryption, Protocol, Rule, Spelling
from fetchrules.ruletext.formats.foreign import Imported
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.render import option_text, options_of, render_rule
from fetchrules.ruletext.validate import harmful_character, is_host_name, recipient_fault

NASTY = "\"'|\\# \t:@[]%\ufeff\u00a0\u2028\x85é中😀keep"

names = st.text("abz-019.", min_size=1, max_size=12).filter(is_host_name) | st.sampled_from(
    ["почта.рф", "mail.пример.испытание", "xn--80a1acny.xn--p1ai", "MAIL.Example.ORG", "mail_server", "mailserver.ru"]
)
addresses = st.ip_addresses().map(str)
servers = names | addresses


def fields(longest: int) -> SearchStrategy[str]:
    """Any text that a login, a password or a folder may be, oddities more often than chance would have them."""
    characters = st.characters(codec="utf-8", exclude_characters="\0\r\n")
    return st.text(NASTY, min_size=1, max_size=longest) | st.text(characters, min_size=1, max_size=longest)


def without_harm(text: str) -> str:
    """`text` with nothing in it that a changed rule may not hold."""
    while found := harmful_character(text):
        text = text.replace(found, "")
    return text


recipients = st.builds(
    "{}@{}".format,
    st.text("azйё09._+=&'-", min_size=1, max_size=10),
    names,
).filter(lambda text: recipient_fault(text) is None)


def number(field: str) -> SearchStrategy[int | None]:
    """A number that the field may hold, or none."""
    return st.none() | st.integers(*BOUNDS[field])


ANY_FIELD = fields(20)
SHOWN_FIELD = ANY_FIELD.map(without_harm).filter(bool)


def _into(folders: tuple[str, ...]) -> SearchStrategy[tuple[tuple[str, str], ...]]:
    """Local folders for some of these, or for the whole rule."""
    name = st.sampled_from(["", "", "Junk", "Сбор/Мой банк", "INBOX"])
    named = st.tuples(*(st.tuples(st.just(of), name) for of in folders or ("",)))
    return named.map(lambda pairs: tuple(pair for pair in pairs if pair[1]))


@st.composite
def rules(draw: st.DrawFn, texts: SearchStrategy[str] = ANY_FIELD) -> Rule:
    """Any valid rule, unwise ones included. `texts`: what logins, passwords and folders are made of."""
    protocol = draw(st.sampled_from(Protocol))
    folders = st.lists(texts, max_size=3, unique=True).map(tuple) if protocol is Protocol.IMAP else st.just(())
    flag, named = st.booleans(), draw(folders)
    return Rule(
        server=draw(servers),
        protocol=protocol,
        user=draw(texts),
        password=draw(texts | st.just(MASK)),
        recipient=draw(recipients),
        keep=draw(flag),
        flush=draw(flag),
        fetchall=draw(flag),
        encryption=draw(st.sampled_from(Encryption)),
        sslcertck=draw(flag),
        sslfingerprint=draw(st.sampled_from([(), ("0" * 64,), ("0123456789abcdef" * 4, "0" * 64)])),
        port=draw(number("port")),
        auth=draw(st.sampled_from([auth for auth in Auth if auth is not Auth.APOP or protocol is Protocol.POP3])),
        uidl=draw(flag),
        flags=draw(flag) if protocol is Protocol.IMAP else False,
        into=draw(_into(named)),
        folders=named,
        limit=draw(number("limit")),
        fetchlimit=draw(number("fetchlimit")),
        interval=draw(number("interval")),
        timeout=draw(number("timeout")),
        keepdays=draw(number("keepdays")),
        skip=draw(flag),
    )


spellings = st.sampled_from(Spelling)

_FRAGMENTS = (
    *("mail.ru:pop3", "[::1]:imaps", "::1:pop3", ":", "petrov", '"a b"', "'q", "i@x.ru"),
    *("keep", "NoKeep", "kep", "limit", "5m", "folder", "port 99999", "sslfingerprint", "auth", "apop"),
    *("# note", "#", "|", "\\|", "\\", '"', "'", " ", "\t", "\u00a0", "\u2028", "\ufeff"),
    *("\n", "\r", "\r\n", "\0", "\ud800"),
)

texts = st.one_of(
    st.text(),
    st.text(st.characters()),
    st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=3), max_size=40).map("".join),
    st.lists(st.sampled_from(_FRAGMENTS), max_size=30).map(" ".join),
    st.lists(st.sampled_from(_FRAGMENTS), max_size=30).map("|".join),
)
"""Any text at all, and texts that are almost rules."""


@st.composite
def written_lines(draw: st.DrawFn, texts: SearchStrategy[str] = ANY_FIELD) -> Line:
    """A line with a rule as people write it: any order and case, defaults spelt out, odd blanks, a comment."""
    rule, spelling = draw(rules(texts)), draw(spellings)
    words = [*_options_as_written(draw, rule, spelling)]
    recase = draw(st.sampled_from([str.lower, str.upper, str.title]))
    leading = render_rule(replace(_BARE, **{name: getattr(rule, name) for name in _LEADING}), spelling)
    source, rest = leading[: leading.index(f":{rule.protocol}")], leading[leading.index(f":{rule.protocol}") :]
    with_s = rule.encryption is Encryption.SSL and draw(st.booleans())
    protocol = recase(f":{rule.protocol}" + "s" * with_s)
    if with_s and draw(st.booleans()):
        words = [word for word in words if word.lower() != "ssl"]
    if "sslcertck" in map(str.lower, words) and draw(st.booleans()):
        words = [word for word in words if word.lower() != "starttls"]
    together = len(rule.folders) > 1 or (rule.folders and rule.into)
    options = words if together else draw(st.permutations(words))
    blank = draw(st.sampled_from([" ", "  ", "\t"]))
    separator = blank if spelling is Spelling.BLANKS else draw(st.sampled_from(["|", " |", "| "]))
    comment = draw(st.sampled_from(["", " ", " # note", "\t#|keep| a", "  #"]))
    closing = draw(st.sampled_from(["", "|"])) if spelling is Spelling.BARS else ""
    text = separator.join([source + protocol + rest[len(rule.protocol) + 1 :], *options]) + closing + comment
    return parse_line(draw(st.sampled_from(["", " "])) + text, ending="\n")


def _options_as_written(draw: st.DrawFn, rule: Rule, spelling: Spelling) -> Iterator[str]:
    recase = draw(st.sampled_from([str.lower, str.upper, str.title]))
    for word, value in options_of(rule):
        name = draw(st.sampled_from(["port", "service"])) if word == "port" else word
        yield recase(name) + option_text(word, value, spelling)[len(word) :]
    for name, word in {"keep": "nokeep", "flush": "noflush", "fetchall": "nofetchall"}.items():
        if not getattr(rule, name) and draw(st.booleans()):
            yield recase(word)
    if rule.sslcertck and rule.encryption is not Encryption.AUTO and draw(st.booleans()):
        yield recase("sslcertck")


_LEADING = ("server", "protocol", "user", "password", "recipient")
_BARE = Rule("", Protocol.POP3, "", "", "")


def text_of(imported: Imported) -> str:
    """The rules of a foreign file as a rule text of their own, comments above their rules."""
    lines = (line for found in imported.found for line in (*found.comments, render_rule(found.rule, Spelling.BLANKS)))
    return "".join(f"{line}\n" for line in (*lines, *imported.comments))
