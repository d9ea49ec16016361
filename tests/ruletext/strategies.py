"""Valid rules, lines and texts, made up by hypothesis."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fetchrules.ruletext.spec import BOUNDS, MASK, Encryption, Protocol, Rule, Spelling
from fetchrules.ruletext.validate import FORBIDDEN, is_host_name, recipient_fault

NASTY = "\"'|\\# \t:@[]%\ufeff\u00a0\u2028\x85é中😀keep"

labels = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
names = (
    st.lists(labels, min_size=1, max_size=4).map(".".join)
    | st.sampled_from(["почта.рф", "mail.пример.испытание", "xn--80a1acny.xn--p1ai", "MAIL.Example.ORG", "mail_server"])
).filter(is_host_name)
addresses = st.ip_addresses().map(str)
servers = names | addresses


def fields(longest: int) -> SearchStrategy[str]:
    """Any text that a login, a password or a folder may be, oddities more often than chance would have them."""
    characters = st.characters(codec="utf-8", exclude_characters="\0\r\n")
    alphabet = st.one_of(st.sampled_from(NASTY), characters)
    return st.text(alphabet, min_size=1, max_size=longest).filter(lambda text: not FORBIDDEN.search(text))


recipients = st.builds(
    "{}@{}".format,
    st.from_regex(r"[a-zа-я0-9_+][a-zа-я0-9._+=&'-]{0,10}", fullmatch=True),
    names.filter(lambda name: "." in name or name.isalpha()),
).filter(lambda text: recipient_fault(text) is None)


def number(field: str) -> SearchStrategy[int | None]:
    """A number that the field may hold, or none."""
    return st.none() | st.integers(*BOUNDS[field])


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any valid rule, contradictions with fetchmail's taste included."""
    protocol = draw(st.sampled_from(Protocol))
    folders = st.lists(fields(12), max_size=3, unique=True).map(tuple) if protocol is Protocol.IMAP else st.just(())
    flag = st.booleans()
    return Rule(
        server=draw(servers),
        protocol=protocol,
        user=draw(fields(20)),
        password=draw(fields(20) | st.just(MASK)),
        recipient=draw(recipients),
        keep=draw(flag),
        flush=draw(flag),
        fetchall=draw(flag),
        encryption=draw(st.sampled_from(Encryption)),
        sslcertck=draw(flag),
        sslfingerprint=draw(st.just("") | st.from_regex("[0-9a-f]{64}", fullmatch=True)),
        port=draw(number("port")),
        uidl=draw(flag),
        folders=draw(folders),
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
    *("keep", "NoKeep", "kep", "limit", "5m", "folder", "port 99999", "sslfingerprint"),
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
