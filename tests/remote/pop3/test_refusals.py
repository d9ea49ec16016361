import pytest

from fetchrules.errors import (
    FetchError,
    LoginDelay,
    LoginRefused,
    MailboxBusy,
    OverLimit,
    ServerRefused,
    ServerTemporary,
)
from fetchrules.remote.pop3.conversation import is_limited, refusal
from fetchrules.remote.pop3.grammar import status_line

MEANINGS: list[tuple[bytes, type[FetchError]]] = [
    (b"-ERR [IN-USE] no", MailboxBusy),
    (b"-ERR [LOGIN-DELAY/30] no", LoginDelay),
    (b"-ERR [SYS/TEMP] no", ServerTemporary),
    (b"-ERR [SYS/TEMP/DB] no", ServerTemporary),
    (b"-ERR [SYS/PERM] no", ServerRefused),
    (b"-ERR [OVERQUOTA] no", OverLimit),
    (b"-ERR [LIMIT] no", OverLimit),
    (b"-ERR Download exceed. msg=10", OverLimit),
    (b"-ERR [ALERT] Too many simultaneous connections. (Failure)", ServerTemporary),
    (b"-ERR Exceeded the login limit for a 15 minute period. Reduce the frequency of requests.", OverLimit),
    (b"-ERR Request is throttled. Suggested Backoff Time: 299961 milliseconds", OverLimit),
    (b"-ERR [LIMIT] Rate limit hit", OverLimit),
    (b"-ERR PASS Rate limit hit", OverLimit),
    (b"-ERR petrov lock busy!  Is another session active? (11)", ServerTemporary),
    (b"-ERR [IN-USE] petrov lock busy!  Is another session active? (11)", MailboxBusy),
    (b"-ERR maildrop already locked", ServerTemporary),
    (b"-ERR Unable to lock maildrop: Mailbox is locked by POP server", ServerTemporary),
    (b"-ERR Mailbox is locked by another POP3 session.", ServerTemporary),
    (b"-ERR [IN-USE] Mailbox is locked by another POP3 session.", MailboxBusy),
    (b"-ERR mailbox already in use by pid 12345", ServerTemporary),
    (b"-ERR mail storage services unavailable, wait a few minutes and try again", ServerTemporary),
    (b"-ERR this account is locked", LoginRefused),
    (b"-ERR [AUTH] no", LoginRefused),
    (b"-ERR [AUTH] Too many simultaneous connections", LoginRefused),
    (b"-ERR [SYS/PERM] Download exceed", ServerRefused),
    (b"-ERR [MOON/FULL] no", LoginRefused),
    (b"-ERR wrong password", LoginRefused),
]


@pytest.mark.parametrize(("octets", "error"), MEANINGS)
def test_it_knows_what_a_refusal_means_by_its_code_and_then_by_known_words(
    octets: bytes, error: type[FetchError]
) -> None:
    line = status_line(octets)
    assert line is not None
    meaning = refusal(line, "shown", LoginRefused)
    assert type(meaning) is error
    assert meaning.detail == "shown"


@pytest.mark.parametrize(("octets", "error"), MEANINGS)
def test_it_tells_a_server_that_gives_none_from_a_letter_that_cannot_be_had(
    octets: bytes, error: type[FetchError]
) -> None:
    line = status_line(octets)
    assert line is not None
    assert is_limited(line) is (error not in (LoginRefused, ServerRefused))
