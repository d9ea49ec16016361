"""What a Pop3Mailbox promises beyond the words of the protocol."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

import pytest

from fetchrules.errors import (
    FetchError,
    LocalProtocolError,
    LoginRefused,
    OverLimit,
    RemoteProtocolError,
    RunOvertaken,
    TimedOut,
)
from fetchrules.remote.account import Account, Deadlines, ServerKey
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Listed, Refused
from fetchrules.remote.memory import SERVERS
from fetchrules.remote.pop3 import session
from fetchrules.remote.pop3.session import open_pop3, probe_pop3
from fetchrules.remote.transcript import Speaker, Transcript
from fetchrules.rule import Encryption, Protocol
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import (
    PASSWORD,
    USER,
    Behaviour,
    Cut,
    Fault,
    LetterFault,
    Mailbox,
    Pop3Server,
    Say,
    Stall,
    Step,
    late,
)

DEADLINES = Deadlines(connect=10, idle=10, session=20)
HASTY = replace(DEADLINES, idle=0.3, listing=0.3)


def account(server: Pop3Server, user: str = USER, password: str = PASSWORD) -> Account:
    return Account(
        Protocol.POP3,
        server.host,
        server.port,
        user,
        password,
        encryption=Encryption.PLAINTEXT,
        deadlines=DEADLINES,
    )


@pytest.fixture
def maildrop() -> Maildrop:
    return Maildrop([letter("one"), letter("two"), letter("three")])


@pytest.fixture
def server(maildrop: Maildrop) -> Iterator[Pop3Server]:
    with Pop3Server(maildrop) as server:
        yield server


def test_it_closes_a_session_whose_retrieval_was_left_midway(server: Pop3Server, maildrop: Maildrop) -> None:
    mailbox = open_pop3(account(server))
    letters = mailbox.listing().letters
    list(mailbox.delete(letters[:1]))
    retrieval = mailbox.retrieve(letters[1:])
    assert isinstance(next(retrieval), Begun)
    retrieval.close()  # type: ignore[attr-defined]
    assert not mailbox.quit()
    with pytest.raises(LocalProtocolError):
        list(mailbox.delete(letters))
    assert len(maildrop.letters) == 3


def test_it_does_nothing_else_during_a_retrieval(server: Pop3Server) -> None:
    mailbox = open_pop3(account(server))
    letters = mailbox.listing().letters
    retrieval = mailbox.retrieve(letters)
    next(retrieval)
    with pytest.raises(LocalProtocolError):
        list(mailbox.delete(letters))
    with pytest.raises(LocalProtocolError):
        mailbox.reset()
    with pytest.raises(LocalProtocolError):
        next(mailbox.retrieve(letters))
    assert not mailbox.quit()


def test_it_does_not_quit_in_the_middle_of_a_letter(server: Pop3Server, maildrop: Maildrop) -> None:
    mailbox = open_pop3(account(server))
    list(mailbox.delete(mailbox.listing().letters[:1]))
    next(mailbox.retrieve(mailbox.listing().letters[1:]))
    assert not mailbox.quit()
    assert maildrop.commits == 0


def test_it_commits_nothing_when_closed(server: Pop3Server, maildrop: Maildrop) -> None:
    mailbox = open_pop3(account(server))
    list(mailbox.delete(mailbox.listing().letters))
    mailbox.close()
    mailbox.close()
    assert not mailbox.quit()
    assert len(maildrop.letters) == 3


def test_it_is_no_longer_of_use_when_closed(server: Pop3Server) -> None:
    mailbox = open_pop3(account(server))
    mailbox.close()
    with pytest.raises(LocalProtocolError):
        list(mailbox.delete(mailbox.listing().letters))
    with pytest.raises(LocalProtocolError):
        list(mailbox.retrieve(mailbox.listing().letters))


def test_it_says_which_letters_were_deleted(maildrop: Maildrop) -> None:
    refusing = Behaviour(faults=(Fault(Step.DELE, Say(b"-ERR\r\n"), nth=2),))
    with Pop3Server(maildrop, refusing) as server:
        mailbox = open_pop3(account(server))
        deleted = [(letter.number, accepted) for letter, accepted in mailbox.delete(mailbox.listing().letters)]
        assert deleted == [(1, True), (2, False), (3, True)]
        assert mailbox.quit()
    assert maildrop.uids == ["uid-2"]


def test_it_tells_which_deletions_were_answered_before_the_session_broke(maildrop: Maildrop) -> None:
    confused = Behaviour(letter_faults=(LetterFault(Step.DELE, "uid-3", Say(b"what?\r\n")),))
    for behaviour in (confused, confused.without("PIPELINING")):
        with Pop3Server(maildrop, behaviour) as server:
            mailbox = open_pop3(account(server))
            deletions = mailbox.delete(mailbox.listing().letters)
            assert [(one.number, accepted) for one, accepted in itertools.islice(deletions, 2)] == [
                (1, True),
                (2, True),
            ]
            with pytest.raises(RemoteProtocolError):
                next(deletions)
            assert not mailbox.quit()
            assert mailbox.together == 1
    assert len(maildrop.letters) == 3


def test_it_closes_a_session_whose_deletions_were_left_midway(server: Pop3Server, maildrop: Maildrop) -> None:
    mailbox = open_pop3(account(server))
    deletions = mailbox.delete(mailbox.listing().letters)
    next(deletions)
    deletions.close()  # type: ignore[attr-defined]
    assert not mailbox.quit()
    assert len(maildrop.letters) == 3


@pytest.mark.parametrize(
    ("words", "limited"),
    [(b"-ERR Download exceed. msg=10", True), (b"-ERR [SYS/TEMP] no", True), (b"-ERR no such letter", False)],
)
def test_it_tells_a_server_over_its_limit_from_a_letter_that_it_cannot_give(
    maildrop: Maildrop, words: bytes, limited: bool
) -> None:
    refusing = Behaviour(gives=1, over_limit=words + b"\r\n")
    with Pop3Server(maildrop, refusing) as server:
        mailbox = open_pop3(account(server))
        events = list(mailbox.retrieve(mailbox.listing().letters))
        assert mailbox.quit()
    refused = [event for event in events if isinstance(event, Refused)]
    assert [(event.letter.number, event.limited) for event in refused] == [(2, limited), (3, limited)]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ((), 3),
        ((Fault(Step.STAT, Say(b"-ERR\r\n")),), 3),
        ((Fault(Step.STAT, Say(b"+OK 250 1\r\n")),), 250),
        (
            (
                Fault(Step.STAT, Say(b"+OK 0 0\r\n")),
                Fault(Step.UIDL, Say(b"-ERR\r\n")),
                Fault(Step.LIST, Say(b"-ERR\r\n")),
            ),
            0,
        ),
    ],
    ids=["as listed", "no STAT", "more than listed", "none"],
)
def test_it_says_how_many_letters_there_are(maildrop: Maildrop, faults: tuple[Fault, ...], expected: int) -> None:
    with Pop3Server(maildrop, Behaviour(faults=faults)) as server:
        mailbox = open_pop3(account(server))
        assert mailbox.exists == expected
        assert mailbox.listing(at_once=100) == mailbox.listing()
        assert mailbox.quit()


def test_it_does_not_take_a_busy_server_for_an_empty_mailbox() -> None:
    busy = Say(b"-ERR Download exceed\r\n")
    nothing = Fault(Step.STAT, Say(b"+OK 0 0\r\n"))
    refusing = Behaviour(faults=(nothing, Fault(Step.UIDL, busy), Fault(Step.LIST, busy)))
    with Pop3Server(Maildrop(), refusing) as server, pytest.raises(OverLimit):
        open_pop3(account(server))


@pytest.mark.parametrize("step", [Step.STAT, Step.UIDL, Step.LIST])
@pytest.mark.parametrize("pipelining", [True, False])
def test_it_waits_for_a_listing_longer_than_for_anything_else(maildrop: Maildrop, step: Step, pipelining: bool) -> None:
    slow = Behaviour(faults=(Fault(step, late(0.4)),))
    with Pop3Server(maildrop, slow if pipelining else slow.without("PIPELINING")) as server:
        mailbox = open_pop3(replace(account(server), deadlines=replace(DEADLINES, idle=0.2, listing=10)))
        assert len(mailbox.listing().letters) == 3
        assert mailbox.quit()


def test_it_waits_for_a_listing_never_less_than_for_anything_else() -> None:
    assert Deadlines(idle=900).for_a_list == 900
    assert Deadlines().for_a_list == 300


@pytest.mark.parametrize(
    ("step", "detail"), [(Step.GREETING, "no answer in 0.3 s"), (Step.PASS, "no answer to PASS in 0.3 s")]
)
def test_it_says_what_it_waited_for(step: Step, detail: str) -> None:
    stalling = Behaviour(faults=(Fault(step, Stall()),))
    deadlines = replace(DEADLINES, idle=0.3, listing=10)
    with Pop3Server(Maildrop(), stalling) as server, pytest.raises(TimedOut) as caught:
        open_pop3(replace(account(server), deadlines=deadlines))
    assert caught.value.detail == detail


def test_it_says_which_list_did_not_come() -> None:
    stalling = Behaviour(faults=(Fault(Step.UIDL, Stall()),))
    with Pop3Server(Maildrop(), stalling) as server, pytest.raises(TimedOut) as caught:
        open_pop3(replace(account(server), deadlines=replace(HASTY, listing=0.5)))
    assert caught.value.detail == "no answer to UIDL in 0.5 s"


def test_it_ends_a_session_that_has_become_useless_while_the_server_is_silent() -> None:

    def overtaken() -> None:
        raise RunOvertaken

    stalling = Behaviour(faults=(Fault(Step.UIDL, Stall()),))
    with Pop3Server(Maildrop(), stalling) as server, pytest.raises(RunOvertaken):
        open_pop3(replace(account(server), deadlines=replace(DEADLINES, alive=0.05)), alive=overtaken)


def test_it_deletes_and_retrieves_nothing_when_asked_to(server: Pop3Server) -> None:
    mailbox = open_pop3(account(server))
    assert list(mailbox.delete([])) == []
    assert list(mailbox.retrieve([])) == []
    mailbox.mark_seen(mailbox.listing().letters)
    assert mailbox.quit()


def test_it_takes_letters_back_that_were_deleted(server: Pop3Server, maildrop: Maildrop) -> None:
    mailbox = open_pop3(account(server))
    list(mailbox.delete(mailbox.listing().letters))
    mailbox.reset()
    assert mailbox.quit()
    assert len(maildrop.letters) == 3


def test_it_asks_for_letters_only_as_they_are_handed_out(server: Pop3Server) -> None:
    mailbox = open_pop3(account(server))
    handed: list[int] = []

    def portion() -> Iterator[Listed]:
        for listed in mailbox.listing().letters[:2]:
            handed.append(listed.number)
            yield listed

    whole = [event.letter.number for event in mailbox.retrieve(portion()) if isinstance(event, Complete)]
    assert whole == handed == [1, 2]
    assert mailbox.quit()
    assert [line for line in server.said if line.startswith("RETR")] == ["RETR 1", "RETR 2"]


def test_it_keeps_a_window_of_requests_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetchrules.remote.conversation.WINDOW", 8)
    with Pop3Server(Maildrop([letter(str(number)) for number in range(50)])) as server:
        transcript = Transcript(head=1000)
        mailbox = open_pop3(account(server), trace=transcript)
        letters = mailbox.listing().letters
        list(mailbox.retrieve(letters))
        assert len(list(mailbox.delete(letters))) == 50
        assert mailbox.quit()
    for request, answer in (("RETR", "+OK letter"), ("DELE", "+OK marked")):
        steps = [line.text.startswith(request) - line.text.startswith(answer) for line in transcript.head]
        assert max(accumulate(steps)) == 8


def test_it_asks_for_few_large_letters_at_a_time(server: Pop3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "OCTETS_AHEAD", 1)
    transcript = Transcript()
    mailbox = open_pop3(account(server), trace=transcript)
    whole = [event for event in mailbox.retrieve(mailbox.listing().letters) if isinstance(event, Complete)]
    assert len(whole) == 3
    assert mailbox.quit()
    spoken = [line.text for line in transcript.head]
    assert spoken.index("RETR 2") > spoken.index("+OK letter follows")


def test_it_gives_a_letter_in_pieces_of_bounded_size() -> None:
    with Pop3Server(Maildrop([b"x" * 3_000_000 + b"\r\n"])) as server:
        mailbox = open_pop3(account(server))
        pieces = [event.data for event in mailbox.retrieve(mailbox.listing().letters) if isinstance(event, Chunk)]
    assert sum(map(len, pieces)) == 3_000_002
    assert max(map(len, pieces)) <= 64 * 1024 + 4


def test_it_needs_three_round_trips_for_an_idle_poll_of_a_server_it_knows() -> None:
    with Pop3Server(Maildrop()) as server:
        assert open_pop3(account(server)).quit()
        transcript = Transcript()
        assert open_pop3(account(server), trace=transcript).quit()
    assert _turns(transcript) == 3


def test_it_asks_first_what_a_server_can_do() -> None:
    with Pop3Server(Maildrop()) as server:
        transcript = Transcript()
        assert open_pop3(account(server), trace=transcript).quit()
    assert _turns(transcript) == 4


def _turns(transcript: Transcript) -> int:
    """How often the server had the word after we had it, the greeting included."""
    speakers = [line.speaker for line in transcript.head]
    return sum(now is Speaker.SERVER is not before for before, now in itertools.pairwise(speakers))


def test_it_notices_that_a_server_has_changed_since_the_last_poll(maildrop: Maildrop) -> None:
    with Pop3Server(maildrop) as server:
        assert open_pop3(account(server)).quit()
        server.behaviour = Behaviour().without("PIPELINING")
        assert open_pop3(account(server)).quit()
        server.said.clear()
        mailbox = open_pop3(account(server))
        assert "PIPELINING" not in mailbox.connection.capabilities
        assert mailbox.quit()
        assert server.said[:2] == ["CAPA", "USER petrov"]


def test_it_asks_anew_what_a_server_can_do_after_it_broke_down(maildrop: Maildrop) -> None:
    with Pop3Server(maildrop) as server:
        assert open_pop3(account(server)).quit()
        server.behaviour = Behaviour(faults=(Fault(Step.USER, Cut()),))
        with pytest.raises(FetchError):
            open_pop3(account(server))
        server.behaviour = Behaviour()
        transcript = Transcript()
        assert open_pop3(account(server), trace=transcript).quit()
    assert _turns(transcript) == 4


def test_it_takes_nothing_said_unasked_for_an_answer() -> None:
    talkative = Behaviour(faults=(Fault(Step.GREETING, Say(b"+OK one\r\n+OK two\r\n")),))
    with Pop3Server(Maildrop(), talkative) as server, pytest.raises(RemoteProtocolError):
        open_pop3(account(server))


def test_it_shows_a_session_without_its_secrets(server: Pop3Server) -> None:
    transcript = Transcript()
    mailbox = open_pop3(account(server), trace=transcript)
    list(mailbox.retrieve(mailbox.listing().letters))
    assert mailbox.quit()
    said = "\n".join(f"{line.speaker}: {line.text}" for line in transcript.head)
    assert "C: PASS ********" in said
    assert PASSWORD not in said
    assert "no play" not in said
    assert f"*: connected to 127.0.0.1 port {server.port}" in said


@pytest.mark.parametrize("quoted", [PASSWORD, "AHBldHJvdgBwZXRyb3ZwYXNzd2Q="])
def test_it_masks_a_password_that_the_server_quotes(quoted: str) -> None:
    quoting = Behaviour(faults=(Fault(Step.PASS, Say(f"-ERR unknown command: PASS {quoted}\r\n".encode())),))
    with Pop3Server(Maildrop(), quoting) as server:
        transcript = Transcript()
        with pytest.raises(LoginRefused) as caught:
            open_pop3(account(server), trace=transcript)
    assert quoted not in caught.value.detail
    assert not [line for line in transcript.head if quoted in line.text]


@pytest.mark.parametrize("answer", ["-ERR unknown command: {}", "+OK {}", "{}"])
@pytest.mark.parametrize(
    "quoted",
    [
        "PASS PETROVPASSWD",
        "pass PetrovPasswd",
        "PASS petrovpa",
        "pass PETROVPA",
        "ahblDHJVDGBWZXRYB3ZWYXNZD2Q=",
        "AHBldHJvdgBwZXR",
    ],
)
def test_it_masks_a_password_in_capitals_or_cut_short(answer: str, quoted: str) -> None:
    says = Say(answer.format(quoted).encode() + b"\r\n")
    refuses = Say(f"-ERR [SYS/TEMP] {quoted}\r\n".encode())
    quoting = Behaviour(faults=(Fault(Step.PASS, says), Fault(Step.UIDL, refuses), Fault(Step.LIST, refuses)))
    transcript = Transcript()
    with Pop3Server(Maildrop(), quoting) as server, pytest.raises(FetchError) as caught:
        open_pop3(account(server), trace=transcript)
    shown = [caught.value.detail, *(line.text for line in transcript.head)]
    assert not [text for text in shown if re.search("petrovpa|ahbldhjvdgbwzxr", text, re.IGNORECASE)]


@pytest.mark.parametrize("greeting", ["+OK petrovpasswd", "-ERR PETROVPASSWD", "what is petrovpasswd?"])
def test_it_masks_a_password_with_which_the_server_greets_us_the_next_time(greeting: str) -> None:
    quoting = Behaviour(faults=(Fault(Step.GREETING, Say(f"{greeting}\r\n".encode())),))
    transcript = Transcript()
    shown = []
    with Pop3Server(Maildrop(), quoting) as server:
        try:
            mailbox = open_pop3(account(server), trace=transcript)
        except FetchError as error:
            shown.append(error.detail)
        else:
            shown.append(mailbox.connection.greeting)
            mailbox.close()
    shown += [line.text for line in transcript.head]
    assert "********" in shown[0]
    assert PASSWORD not in "".join(shown).lower()


@pytest.mark.parametrize("nasty", ["a\rb", "a\nDELE 1", "a\0b"])
@pytest.mark.parametrize("field", ["user", "password"])
def test_it_does_not_even_connect_with_a_name_or_password_that_holds_a_command(
    server: Pop3Server, field: str, nasty: str
) -> None:
    with pytest.raises(LocalProtocolError):
        open_pop3(account(server, **{field: nasty}))
    assert server.connections == 0


@pytest.mark.parametrize(("user", "password"), [("пётр", "пароль"), ("two words", "secret"), ("petrov", "пароль")])
def test_it_logs_in_with_names_and_passwords_that_rfc_1939_cannot_say(user: str, password: str) -> None:
    with Pop3Server({user: Mailbox(password, Maildrop([letter("one")]))}) as server:
        mailbox = open_pop3(account(server, user=user, password=password))
        assert len(mailbox.listing().letters) == 1
        assert mailbox.quit()
        assert "AUTH PLAIN" in server.said


def test_it_says_them_in_utf8_where_there_is_no_other_way() -> None:
    with Pop3Server({"пётр": Mailbox("пароль", Maildrop())}, Behaviour(capabilities=None)) as server:
        assert open_pop3(account(server, user="пётр", password="пароль")).quit()


def test_it_passes_on_what_comes_with_no_password() -> None:
    with Pop3Server({USER: Mailbox("", Maildrop())}) as server:
        assert open_pop3(account(server, password="")).quit()


def test_it_probes_a_server_without_logging_in(server: Pop3Server) -> None:
    connection = probe_pop3(account(server))
    assert connection.greeting == "POP3 ready"
    assert "UIDL" in connection.capabilities
    assert server.said == ["CAPA", "QUIT"]


def test_it_lists_a_hundred_thousand_letters_of_a_terse_server() -> None:
    numbers = range(1, 100_001)
    uidl = b"+OK\r\n" + b"".join(b"%d %040d\r\n" % (number, number) for number in numbers) + b".\r\n"
    sizes = b"+OK\r\n" + b"".join(b"%d 5000\r\n" % number for number in numbers) + b".\r\n"
    listing = Behaviour(
        faults=(
            Fault(Step.STAT, Say(b"+OK 100000 500000000\r\n")),
            Fault(Step.UIDL, Say(uidl)),
            Fault(Step.LIST, Say(sizes)),
        )
    )
    with Pop3Server(Maildrop(), listing) as server:
        mailbox = open_pop3(account(server))
        found = mailbox.listing()
        assert mailbox.quit()
    assert found.complete
    assert len(found.letters) == 100_000
    assert found.letters[-1] == Listed(100_000, f"{100_000:040d}", 5000)


BREAKS = {
    "silence at the second command": (Fault(Step.PASS, Stall()), False),
    "silence at once": (Fault(Step.USER, Stall()), False),
    "cut at the second command": (Fault(Step.PASS, Cut()), False),
    "cut within its answer": (Fault(Step.PASS, Cut(3)), True),
    "cut within the first answer": (Fault(Step.USER, Cut(3)), True),
    "silence at the third command": (Fault(Step.STAT, Stall()), True),
    "nonsense": (Fault(Step.PASS, Say(b"what?\r\n")), True),
    "silence at the second letter": (Fault(Step.RETR, Stall(), nth=2), False),
    "cut within the first letter": (Fault(Step.RETR, Cut(50)), True),
    "cut at the second letter": (Fault(Step.RETR, Cut(), nth=2), False),
    "cut within the second letter": (Fault(Step.RETR, Cut(50), nth=2), True),
    "cut at the third letter": (Fault(Step.RETR, Cut(), nth=3), True),
    "silence at the second DELE": (Fault(Step.DELE, Stall(), nth=2), False),
    "silence at the third DELE": (Fault(Step.DELE, Stall(), nth=3), True),
}


@pytest.mark.parametrize(("fault", "trusted"), BREAKS.values(), ids=BREAKS)
def test_it_pipelines_no_more_where_only_the_first_of_a_burst_is_answered(
    fault: Fault, trusted: bool, maildrop: Maildrop
) -> None:
    with Pop3Server(maildrop, Behaviour(faults=(fault,))) as server:
        key = ServerKey(server.host, server.port, tls=False)
        for expected in (True, trusted):
            with pytest.raises(FetchError):
                _collect(replace(account(server), deadlines=HASTY))
            assert SERVERS.capabilities.trusts(key) is expected


def _collect(account: Account) -> None:
    mailbox = open_pop3(account)
    letters = mailbox.listing().letters
    list(mailbox.retrieve(letters))
    list(mailbox.delete(letters))
    mailbox.quit()
