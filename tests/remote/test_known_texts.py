import pytest

from fetchrules.errors import FetchError, OverLimit, Retry, ServerTemporary
from fetchrules.remote.known_texts import KNOWN_TEXTS, KnownText, softened

SAID = [
    ("Download exceed. msg=10", OverLimit),
    ("[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", OverLimit),
    ("CAPABILITY RATE LIMIT HIT.", OverLimit),
    ("Request is throttled. Suggested Backoff Time: 299961 milliseconds", OverLimit),
    ("[ALERT] Too many simultaneous connections. (Failure)", ServerTemporary),
    ("Server Unavailable. 15", ServerTemporary),
    ("User is authenticated but not connected.", ServerTemporary),
    ("petrov lock busy! Is another session active? (16)", ServerTemporary),
    ("maildrop already locked", ServerTemporary),
    ("Mail storage services unavailable, wait a few minutes and try again", ServerTemporary),
    ("Mailbox is locked by another POP3 session.", ServerTemporary),
    (
        "Exceeded the login limit for a 15 minute period. Reduce the frequency of requests to the POP3 server.",
        OverLimit,
    ),
]

SAYS_NOTHING = [
    "",
    "no such message",
    "message too large to download",
    "authentication failed",
    "Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy.",
    "login failure or POP3 disabled, try later.",
    "Mailbox over quota",
    "Command Error. 10",
    "this account is locked",
    "the mailbox is locked, ask the administrator",
]


@pytest.mark.parametrize(("words", "error"), SAID)
def test_it_knows_what_servers_say_when_they_are_busy(words: str, error: type[FetchError]) -> None:
    assert softened(words) is error


@pytest.mark.parametrize("words", SAYS_NOTHING)
def test_it_makes_nothing_of_other_words(words: str) -> None:
    assert softened(words) is None


@pytest.mark.parametrize("known", KNOWN_TEXTS, ids=lambda known: known.words)
def test_it_only_softens_and_names_its_source(known: KnownText) -> None:
    assert known.error in (OverLimit, ServerTemporary)
    assert known.error.retry is Retry.LATER
    assert known.service
    assert known.source.startswith("github.com/")
    assert softened(f"xyz: {known.words.upper()} (7)") is known.error
