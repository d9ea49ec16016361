"""By which way a POP3 mailbox is opened, and what its server sees of the password."""

import itertools
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import md5, pbkdf2_hmac

import pytest

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    LoginRefused,
    LoginUnsupported,
    ServerUnproven,
)
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.auth import scram
from fetchrules.remote.auth.ways import Way
from fetchrules.remote.pop3.grammar import Capabilities
from fetchrules.remote.pop3.login import offer
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.remote.transcript import Speaker, Transcript
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates
from tests.servers.faults import Cut, Fault, Say, Stall
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, USER, Behaviour, Mailbox, Pop3Server, Step
from tests.servers.sasl import GREETING_STAMP

DEADLINES = Deadlines(connect=10, idle=10, session=20)
SCRAM_256, SCRAM_1 = "SCRAM-SHA-256", "SCRAM-SHA-1"
BASE = ("TOP", "UIDL", "RESP-CODES", "PIPELINING")
ALL = ("PLAIN", "LOGIN", "CRAM-MD5", SCRAM_1, SCRAM_256)


def kind(*mechanisms: str, user: bool = False, apop: bool = False, capa: bool = True, **more: object) -> Behaviour:
    """A server that offers these ways, all of which work."""
    sasl = (f"SASL {' '.join(mechanisms)}",) if mechanisms else ()
    logins = frozenset({*mechanisms, *(["password"] if user else []), *(["APOP"] if apop else [])})
    announced = (*BASE, *(["USER"] if user else []), *sasl) if capa else None
    return replace(Behaviour(capabilities=announced, logins=logins, timestamp=apop), **more)  # type: ignore[arg-type]


@contextmanager
def serving(behaviour: Behaviour, tls: Certificates | None = None) -> Iterator[Pop3Server]:
    maildrop = Maildrop([letter("one"), letter("two")])
    context = tls.good.context() if tls else None
    with Pop3Server(maildrop, behaviour, tls=context, implicit=tls is not None) as server:
        yield server


def account(server: Pop3Server, password: str = PASSWORD, **terms: object) -> Account:
    encryption = Encryption.SSL if server.implicit else Encryption.PLAINTEXT
    made = Account(
        Protocol.POP3, server.host, server.port, USER, password, encryption, verify=False, deadlines=DEADLINES
    )
    return replace(made, **terms)  # type: ignore[arg-type]


def collect(terms: Account) -> int:
    """How many letters there are."""
    mailbox = open_pop3(terms)
    listed = mailbox.listing()
    assert mailbox.quit()
    return len(listed.letters) if listed.complete else -1


def logins(server: Pop3Server) -> list[str]:
    """The commands by which logins were tried, by their first argument where it is a mechanism."""
    verbs = [line.split(" ") for line in server.said if line.split(" ")[0] in ("USER", "APOP", "AUTH")]
    return [words[1] if words[0] == "AUTH" else words[0] for words in verbs]


def saw_the_password(server: Pop3Server) -> bool:
    shown = (PASSWORD, b64encode(PASSWORD.encode()).decode(), b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode())
    return any(secret in line for line in server.said for secret in shown)


SIX = {
    "CRAM-MD5 alone": (kind("CRAM-MD5"), ["CRAM-MD5"], False),
    "APOP alone": (kind(apop=True), ["APOP"], False),
    "APOP alone, without CAPA": (kind(apop=True, capa=False), ["APOP"], False),
    "LOGIN alone": (kind("LOGIN"), ["LOGIN"], True),
    "CRAM-MD5 and APOP": (kind("CRAM-MD5", apop=True), ["CRAM-MD5"], False),
    "CRAM-MD5 among what we do not know": (kind("GSSAPI", "CRAM-MD5", "NTLM"), ["CRAM-MD5"], False),
}


@pytest.mark.parametrize(("behaviour", "way", "shown"), SIX.values(), ids=SIX)
def test_it_collects_on_a_clear_line_from_a_server_with(behaviour: Behaviour, way: list[str], shown: bool) -> None:
    with serving(behaviour) as server:
        assert collect(account(server)) == 2
    assert logins(server) == way
    assert saw_the_password(server) is shown


UNDER_TLS = {
    "CRAM-MD5 alone": (kind("CRAM-MD5"), ["CRAM-MD5"]),
    "APOP alone": (kind(apop=True), ["USER", "APOP"]),
    "APOP alone, without CAPA": (kind(apop=True, capa=False), ["USER", "APOP"]),
    "LOGIN alone": (kind("LOGIN"), ["LOGIN"]),
    "LOGIN and CRAM-MD5": (kind("LOGIN", "CRAM-MD5"), ["LOGIN"]),
    "everything": (kind(*ALL, user=True, apop=True), [SCRAM_256]),
    "SCRAM-SHA-1": (kind("PLAIN", SCRAM_1, user=True), [SCRAM_1]),
    "what most have": (kind("PLAIN", "LOGIN", "CRAM-MD5", user=True, apop=True), ["USER"]),
}


@pytest.mark.parametrize(("behaviour", "way"), UNDER_TLS.values(), ids=UNDER_TLS)
def test_it_collects_under_tls_from_a_server_with(
    behaviour: Behaviour, way: list[str], certificates: Certificates
) -> None:
    with serving(behaviour, certificates) as server:
        assert collect(account(server)) == 2
    assert logins(server) == way


@pytest.mark.parametrize("mechanism", [SCRAM_256, SCRAM_1, "CRAM-MD5"])
def test_it_shows_no_password_on_a_clear_line_where_it_can_be_proven(mechanism: str) -> None:
    with serving(kind("PLAIN", "LOGIN", mechanism, user=True)) as server:
        assert collect(account(server)) == 2
    assert logins(server) == [mechanism]
    assert not saw_the_password(server)


NO_PLAINTEXT = {"GSSAPI": kind("GSSAPI"), "tokens": kind("XOAUTH2", "OAUTHBEARER"), "NTLM": kind("NTLM", "DIGEST-MD5")}


@pytest.mark.parametrize("behaviour", NO_PLAINTEXT.values(), ids=NO_PLAINTEXT)
@pytest.mark.parametrize("tls", [True, False])
def test_it_names_what_is_offered_where_it_can_do_none_of_it(
    behaviour: Behaviour, tls: bool, certificates: Certificates
) -> None:
    with serving(behaviour, certificates if tls else None) as server:
        with pytest.raises(LoginUnsupported) as caught:
            collect(account(server))
        assert behaviour.capabilities is not None
        assert sorted(caught.value.detail.split(", ")) == sorted(behaviour.capabilities[-1].split()[1:])
        assert logins(server) == []
        server.behaviour = kind("PLAIN")
        assert collect(account(server)) == 2, "what was remembered of the server is asked anew"


OFFERS = [
    # CAPA, greeting, on a clear line, under TLS
    ([], "ready", {Way.NATIVE}, {Way.NATIVE}),
    ([], GREETING_STAMP, {Way.NATIVE, Way.APOP}, {Way.NATIVE, Way.APOP}),
    (["UIDL"], "ready", {Way.NATIVE}, {Way.NATIVE}),
    (["UIDL"], GREETING_STAMP, {Way.APOP}, {Way.NATIVE, Way.APOP}),
    (["USER"], GREETING_STAMP, {Way.NATIVE, Way.APOP}, {Way.NATIVE, Way.APOP}),
    (["SASL CRAM-MD5"], "ready", {Way.CRAM_MD5}, {Way.CRAM_MD5}),
    (["SASL CRAM-MD5", "USER"], "ready", {Way.CRAM_MD5, Way.NATIVE}, {Way.CRAM_MD5, Way.NATIVE}),
    (["sasl cram-md5 plain", "SASL LOGIN"], "", {Way.CRAM_MD5, Way.PLAIN, Way.LOGIN}, {Way.CRAM_MD5, Way.PLAIN, Way.LOGIN}),
    (["SASL"], "ready", {Way.NATIVE}, {Way.NATIVE}),
    (["SASL GSSAPI"], "ready", set(), set()),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "greeting", "clear", "protected"), OFFERS)
def test_it_reads_what_is_offered(lines: list[str], greeting: str, clear: set[Way], protected: set[Way]) -> None:
    announced = Capabilities(frozenset(lines))
    assert offer(announced, greeting, protected=False).ways == clear
    assert offer(announced, greeting, protected=True).ways == protected


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("way", sorted(set(Way)))
def test_it_obeys_a_rule_that_forces_a_way(way: Way, tls: bool, certificates: Certificates) -> None:
    with serving(kind(*ALL, user=True, apop=True), certificates if tls else None) as server:
        assert collect(account(server, way=way)) == 2
    assert logins(server) == ["USER" if way is Way.NATIVE else way]


def test_it_tries_a_forced_way_that_is_not_announced() -> None:
    with serving(replace(kind(user=True), logins=frozenset({"CRAM-MD5"}))) as server:
        assert collect(account(server, way=Way.CRAM_MD5)) == 2


def test_it_forces_no_password_into_the_clear() -> None:
    with serving(kind("CRAM-MD5")) as server, pytest.raises(LoginUnsupported):
        collect(account(server, way=Way.NATIVE))
    assert not saw_the_password(server)


def test_it_tries_what_a_server_offers_and_refuses_once(certificates: Certificates) -> None:
    behaviour = kind(*ALL, user=True, secretless=frozenset({SCRAM_256, SCRAM_1}))
    with serving(behaviour, certificates) as server:
        assert [collect(account(server)) for _ in range(3)] == [2, 2, 2]
    assert logins(server) == [SCRAM_256, "USER", "USER", "USER"]


def test_it_tries_it_once_although_the_server_hangs_up() -> None:
    proofs = frozenset({SCRAM_256, SCRAM_1, "CRAM-MD5", "APOP"})
    behaviour = kind(*ALL, user=True, apop=True, secretless=proofs, hangs_up=True)
    with serving(behaviour) as server:
        assert [collect(account(server)) for _ in range(3)] == [2, 2, 2]
        assert server.connections == 5
    assert logins(server) == [SCRAM_256, "CRAM-MD5", "USER", "USER", "USER"]


def test_it_adds_one_failed_login_a_poll_where_the_password_is_wrong() -> None:
    with serving(kind(*ALL, user=True, apop=True)) as server:
        for _ in range(4):
            with pytest.raises(LoginRefused):
                collect(account(server, password="wrong"))
        assert logins(server) == [SCRAM_256, "CRAM-MD5", "USER", "USER", "USER", "USER"]
        assert collect(account(server)) == 2
    assert logins(server)[-1] == SCRAM_256


@pytest.mark.parametrize(("action", "error"), [(Stall(), LoginRefused), (Cut(), ConnectionLost)])
def test_it_tells_silence_behind_a_refused_login_from_a_connection_that_breaks_twice(
    action: Stall | Cut, error: type[FetchError]
) -> None:
    behaviour = kind("CRAM-MD5", user=True, secretless=frozenset({"CRAM-MD5"}), faults=(Fault(Step.PASS, action),))
    with serving(behaviour) as server, pytest.raises(error):
        collect(account(server, deadlines=replace(DEADLINES, idle=0.3)))
    assert logins(server) == ["CRAM-MD5", "USER", "USER"][: 2 if isinstance(action, Stall) else 3]


def test_it_loses_the_connection_at_the_first_way_as_before() -> None:
    with serving(kind("CRAM-MD5", faults=(Fault(Step.AUTH, Cut()),))) as server, pytest.raises(ConnectionLost):
        collect(account(server))
    assert server.connections == 1


@pytest.mark.parametrize("way", ["USER", "PLAIN"])
def test_it_blames_no_refusal_for_a_connection_that_breaks_behind_the_login(way: str) -> None:
    cut = Fault(Step.STAT, Cut())
    behaviour = kind("CRAM-MD5", "PLAIN", user=way == "USER", secretless=frozenset({"CRAM-MD5"}), faults=(cut,))
    with serving(behaviour) as server, pytest.raises(ConnectionLost):
        collect(account(server))
    assert server.connections == 1
    assert logins(server) == ["CRAM-MD5", way]


@pytest.mark.parametrize("tls", [True, False])
def test_it_stops_where_the_server_does_not_prove_that_it_knows_the_password(
    tls: bool, certificates: Certificates
) -> None:
    with serving(kind(*ALL, user=True, proves=False), certificates if tls else None) as server:
        with pytest.raises(ServerUnproven):
            collect(account(server))
        assert not saw_the_password(server)
        assert server.connections == 1


def test_it_does_not_go_on_where_a_refused_login_has_logged_in(certificates: Certificates) -> None:
    faults = (Fault(Step.USER, Say(b"-ERR no\r\n")), Fault(Step.PASS, Say(b"+OK\r\n")))
    with serving(kind("CRAM-MD5", user=True, faults=faults), certificates) as server, pytest.raises(LoginRefused):
        collect(account(server))
    assert logins(server) == ["USER"]


def test_it_stops_where_the_server_is_busy() -> None:
    busy = Fault(Step.AUTH, Say(b"-ERR [IN-USE] wait\r\n"))
    with serving(kind(*ALL, user=True, faults=(busy,))) as server:
        with pytest.raises(FetchError) as caught:
            collect(account(server))
        assert caught.value.code == "mailbox_busy"
        server.behaviour = kind(*ALL, user=True)
        assert collect(account(server)) == 2
    assert logins(server) == [SCRAM_256, SCRAM_256]


def test_it_derives_the_keys_of_an_account_once(monkeypatch: pytest.MonkeyPatch) -> None:
    derived = []

    def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        derived.append(name)
        return pbkdf2_hmac(name, password, salt, iterations)

    monkeypatch.setattr(scram, "pbkdf2_hmac", counted)
    with serving(kind(SCRAM_256)) as server:
        assert [collect(account(server)) for _ in range(3)] == [2, 2, 2]
    assert len(derived) == 1


def turns(server: Pop3Server) -> int:
    """How often the server had the word in a session, the greeting included."""
    transcript = Transcript()
    assert open_pop3(account(server), trace=transcript).quit()
    speakers = [line.speaker for line in transcript.head]
    return sum(now is Speaker.SERVER is not before for before, now in itertools.pairwise(speakers))


TURNS = {
    "USER and PASS": (kind(user=True), 3),
    "APOP": (kind(apop=True), 3),
    "PLAIN": (kind("PLAIN"), 5),
    "LOGIN": (kind("LOGIN"), 6),
    "CRAM-MD5": (kind("CRAM-MD5"), 5),
    "SCRAM": (kind(SCRAM_256), 6),
}


@pytest.mark.parametrize(("behaviour", "expected"), TURNS.values(), ids=TURNS)
def test_it_has_so_many_round_trips_from_greeting_to_quit(behaviour: Behaviour, expected: int) -> None:
    with serving(behaviour) as server:
        assert turns(server) == expected + 1
        assert turns(server) == expected, "CAPA comes along from the second session on"


def test_it_says_a_long_name_to_scram_in_two_steps() -> None:
    name = "p" * 150
    with Pop3Server({name: Mailbox(PASSWORD, Maildrop())}, kind(SCRAM_256)) as server:
        assert open_pop3(account(server, user=name)).quit()
        assert "AUTH SCRAM-SHA-256" in server.said
        assert open_pop3(account(server, user=name, password=PASSWORD)).quit()


def test_it_says_what_user_and_pass_cannot_by_another_way(certificates: Certificates) -> None:
    with Pop3Server({"пётр": Mailbox("пароль", Maildrop())}, kind("LOGIN", user=True)) as server:
        assert open_pop3(account(server, user="пётр", password="пароль")).quit()
    assert logins(server) == ["LOGIN"]


@pytest.mark.parametrize("way", [way for way in Way if way is not Way.NATIVE])
def test_it_shows_nothing_in_the_transcript_that_a_password_could_be_guessed_by(way: Way) -> None:
    transcript = Transcript()
    with serving(kind(*ALL, user=True, apop=True)) as server:
        open_pop3(account(server, way=way), trace=transcript).quit()
    told = "\n".join(line.text for line in transcript.head)
    digest = md5((GREETING_STAMP + PASSWORD).encode()).hexdigest()
    responses = [line for line in server.said if line not in told.splitlines() and line]
    said = [word for line in responses for word in line.split(" ") if len(word) > 20]
    assert said or way is Way.LOGIN
    assert [word for word in [*said, digest, PASSWORD] if word in told] == []
    assert "+ ********" in told or way in (Way.APOP, Way.PLAIN)


def test_it_masks_a_password_that_the_server_of_login_quotes() -> None:
    quoted = b64encode(PASSWORD.encode()).decode()
    refuses = Fault(Step.AUTH, Say(f"-ERR unknown command: {quoted}\r\n".encode()))
    with serving(kind("LOGIN", faults=(refuses,))) as server, pytest.raises(LoginRefused) as caught:
        collect(account(server))
    assert caught.value.detail == "unknown command: ********"
