"""SCRAM against its RFCs' examples, and against servers that know less than they should."""

import hashlib
import hmac

import pytest

from fetchrules.errors import RemoteProtocolError, ServerUnproven
from fetchrules.remote.auth import scram
from fetchrules.remote.auth.credentials import Password, encoded
from fetchrules.remote.auth.exchange import Refusal, decoded
from fetchrules.remote.auth.scram import ITERATIONS_MAX, SaltedKeys, Scram
from fetchrules.remote.auth.ways import Way

PENCIL = Password("pencil")

# RFC 5802 section 5
SHA_1 = (
    Way.SCRAM_SHA_1,
    "fyko+d2lbbFgONRv9qkxdawL",
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
# RFC 7677 section 3
SHA_256 = (
    Way.SCRAM_SHA_256,
    "rOprNGfwEbeRWgbNEkqO",
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)


def wire(message: str) -> str:
    return encoded(message.encode())


def begun(user: str = "user", password: Password = PENCIL, nonce: str = "ours", way: Way = Way.SCRAM_SHA_256) -> Scram:
    exchange = Scram(way, user, password, SaltedKeys(10), nonce)
    exchange.opening(9999)
    return exchange


@pytest.mark.parametrize("one_step", [True, False])
@pytest.mark.parametrize("example", [SHA_1, SHA_256], ids=["RFC 5802", "RFC 7677"])
def test_it_says_what_the_rfc_says(example: tuple[Way, str, str, str, str, str], one_step: bool) -> None:
    way, nonce, client_first, server_first, client_final, server_final = example
    exchange = Scram(way, "user", PENCIL, SaltedKeys(10), nonce)
    opening = exchange.opening(9999 if one_step else 0)
    first = opening.removeprefix(f"{way} ") if one_step else exchange.answer("")
    assert decoded(first).decode() == client_first
    before = exchange.refusal
    assert decoded(exchange.answer(wire(server_first))).decode() == client_final
    assert (before, exchange.refusal) == (Refusal.MECHANISM, Refusal.PASSWORD)
    assert exchange.answer(wire(server_final)) == ""
    exchange.finish()
    with pytest.raises(RemoteProtocolError):
        exchange.answer(wire(server_final))


@pytest.mark.parametrize(("user", "said"), [("a=b,c", "a=3Db=2Cc"), ("I\u00adX", "IX"), ("пётр", "пётр")])
def test_it_escapes_and_prepares_the_name(user: str, said: str) -> None:
    exchange = Scram(Way.SCRAM_SHA_256, user, PENCIL, SaltedKeys(10), "ours")
    assert decoded(exchange.answer("")).decode() == f"n,,n={said},r=ours"


def test_it_never_says_a_nonce_twice() -> None:
    said = {Scram(Way.SCRAM_SHA_1, "user", PENCIL, SaltedKeys(10)).answer("") for _ in range(100)}
    assert len(said) == 100


FIRST = {
    "empty": "",
    "an error": "e=other-error",
    "without a salt": "r=ours1,i=4096",
    "with an empty salt": "r=ours1,s=,i=4096",
    "with a salt that is none": "r=ours1,s=A,i=4096",
    "without a count": "r=ours1,s=QSXC",
    "with a count of zero": "r=ours1,s=QSXC,i=0",
    "with a negative count": "r=ours1,s=QSXC,i=-1",
    "with a count in words": "r=ours1,s=QSXC,i=many",
    "with too many iterations": f"r=ours1,s=QSXC,i={ITERATIONS_MAX + 1}",
    "with far too many": "r=ours1,s=QSXC,i=99999999",
    "with another nonce": "r=theirs,s=QSXC,i=1",
    "with our nonce alone": "r=ours,s=QSXC,i=1",
    "with an extension that has to be understood": "m=1,r=ours1,s=QSXC,i=1",
    "with a line of its own": "r=ours1\r\n,s=QSXC,i=1",
    "with a comma in the nonce": "r=ours,1,s=QSXC,i=1",
    "with a nonce without end": f"r=ours{'1' * 1500},s=QSXC,i=1",
    "in Russian": "привет",
}


@pytest.mark.parametrize("message", FIRST.values(), ids=FIRST)
def test_it_proves_nothing_to_a_server_whose_first_message_makes_no_sense(message: str) -> None:
    exchange = begun()
    with pytest.raises(RemoteProtocolError):
        exchange.answer(wire(message))
    assert exchange.refusal is Refusal.MECHANISM
    with pytest.raises(ServerUnproven):
        exchange.finish()


def test_it_proves_nothing_to_a_server_that_does_not_speak_base64() -> None:
    with pytest.raises(RemoteProtocolError):
        begun().answer("r=ours1,s=QSXC,i=1")


@pytest.mark.parametrize("more", ["", ",x=an extension", ",a=1,b=2"])
def test_it_goes_on_with_few_iterations_and_extensions_behind(more: str) -> None:
    begun().answer(wire(f"r=ours1,s=QSXC,i=1{more}"))


FINAL = {
    "empty": "",
    "the other's words": "v=ok",
    "nothing proven": "v=",
    "another's proof": "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    "the proof cut short": "v=6rri",
    "not even base64": "v=A",
    "the first message again": "r=ours1,s=QSXC,i=1",
}


@pytest.mark.parametrize("message", FINAL.values(), ids=FINAL)
def test_it_trusts_no_server_with_a_false_proof(message: str) -> None:
    exchange = begun()
    exchange.answer(wire("r=ours1,s=QSXC,i=1"))
    with pytest.raises(ServerUnproven):
        exchange.answer(wire(message))
    with pytest.raises(ServerUnproven):
        exchange.finish()


def test_it_trusts_no_server_without_a_proof() -> None:
    exchange = begun()
    exchange.answer(wire("r=ours1,s=QSXC,i=1"))
    with pytest.raises(ServerUnproven):
        exchange.finish()


def test_it_leaves_the_refusal_to_a_server_that_tells_an_error_first() -> None:
    exchange = begun()
    exchange.answer(wire("r=ours1,s=QSXC,i=1"))
    assert exchange.answer(wire("e=invalid-proof")) == ""
    with pytest.raises(ServerUnproven):
        exchange.finish()
    with pytest.raises(RemoteProtocolError):
        exchange.answer(wire("v=6rri"))


@pytest.mark.parametrize("way", [Way.SCRAM_SHA_1, Way.SCRAM_SHA_256])
def test_it_proves_a_password_that_was_prepared(way: Way) -> None:
    """Both sides as RFC 5802 section 3 writes them."""
    name = {Way.SCRAM_SHA_1: "sha1", Way.SCRAM_SHA_256: "sha256"}[way]
    exchange = begun(password=Password("№ 1"), way=way)
    said = decoded(exchange.answer(wire("r=ours1,s=QSXC,i=3"))).decode()
    unproven, _, proof = said.rpartition(",p=")
    salted = hashlib.pbkdf2_hmac(name, b"No 1", decoded("QSXC"), 3)
    both = f"n=user,r=ours,r=ours1,s=QSXC,i=3,{unproven}".encode()
    stored = hashlib.new(name, hmac.digest(salted, b"Client Key", name)).digest()
    client_key = bytes(a ^ b for a, b in zip(decoded(proof), hmac.digest(stored, both, name), strict=True))
    assert hashlib.new(name, client_key).digest() == stored
    signature = hmac.digest(hmac.digest(salted, b"Server Key", name), both, name)
    exchange.answer(wire(f"v={encoded(signature)}"))
    exchange.finish()


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, bytes, int]]:
    """Every derivation that PBKDF2 had to do."""
    done = []

    def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        done.append((name, password, salt, iterations))
        return hashlib.pbkdf2_hmac(name, password, salt, iterations)

    monkeypatch.setattr(scram, "pbkdf2_hmac", counted)
    return done


def test_it_derives_a_key_once(derived: list[tuple[str, bytes, bytes, int]]) -> None:
    keys = SaltedKeys(10)
    assert keys.keys("sha256", PENCIL, b"salt", 2) == keys.keys("sha256", Password("pencil"), b"salt", 2)
    assert len(derived) == 1


def test_it_derives_another_key_for_anything_else(derived: list[tuple[str, bytes, bytes, int]]) -> None:
    keys = SaltedKeys(10)
    asked = [
        ("sha256", PENCIL, b"salt", 2),
        ("sha1", PENCIL, b"salt", 2),
        ("sha256", Password("pencils"), b"salt", 2),
        ("sha256", PENCIL, b"pepper", 2),
        ("sha256", PENCIL, b"salt", 3),
    ]
    assert len({keys.keys(*one).client for one in asked}) == len(asked) == len(derived)


def test_it_keeps_the_keys_used_last(derived: list[tuple[str, bytes, bytes, int]]) -> None:
    keys = SaltedKeys(2)
    for salt in (b"1", b"2", b"1", b"3", b"1", b"2"):
        keys.keys("sha1", PENCIL, salt, 1)
    assert [salt for _, _, salt, _ in derived] == [b"1", b"2", b"3", b"2"]


def test_it_shows_no_password_in_what_it_keeps() -> None:
    keys = SaltedKeys(2)
    keys.keys("sha1", PENCIL, b"salt", 1)
    assert "pencil" not in repr(vars(keys))
