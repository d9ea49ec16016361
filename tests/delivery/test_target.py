"""From an address to a path: what is refused, and the law that nothing leads out of the root."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.delivery.recipients import PathTemplate, Recipient, RootedPath
from fetchrules.errors import RecipientInvalid

TEMPLATE = PathTemplate("/srv/mail/{domain}/{local}")

hostile = st.text(alphabet=st.sampled_from("abИй./\\@\0\n \u202e~-+_é\u0301{}%"), max_size=12) | st.text(max_size=20)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("i.petrov@mydomain.ru", "/srv/mail/mydomain.ru/i.petrov"),
        ("I.Petrov@MyDomain.RU", "/srv/mail/mydomain.ru/i.petrov"),
        ("иван@пример.рф", "/srv/mail/пример.рф/иван"),
        ("ИВАН@Пример.РФ", "/srv/mail/пример.рф/иван"),
        ("и\u0306@x", "/srv/mail/x/\u0439"),
        ("a+b_c-d=e@x", "/srv/mail/x/a+b_c-d=e"),
        ("~root@x", "/srv/mail/x/~root"),
        ("a" * 64 + "@x", "/srv/mail/x/" + "a" * 64),
    ],
)
def test_it_finds_the_mailbox(address: str, path: str) -> None:
    assert TEMPLATE.place(address).path == Path(path)


@pytest.mark.parametrize(
    "address",
    [
        "", "@", "a@", "@x", "a", "a@b@c", ".a@x", "a.@x", "a..b@x", "..@x", ".@x", "a/b@x", "../etc@x", "a\0b@x", "a\nb@x",
        "a b@x", "a\u00a0b@x", "a\u202eb@x", "a\u200bb@x", "a\ud800b@x", "a\\b@x", 'a"b@x', "a:b@x", "a,b@x", "a;b@x", "a<b@x",
        "a(b@x", "a[b@x", "a@.", "a@..", "a@.x", "a@x.", "a@x..y", "a@x/y", "a@[127.0.0.1]", "a@x\0", "a@x y", "a@x:1",
        "a" * 65 + "@x", "и" * 33 + "@x", "a@" + "x" * 256, "a@" + "и" * 128,
    ],
)  # fmt: skip
def test_it_refuses_what_cannot_be_a_mailbox(address: str) -> None:
    with pytest.raises(RecipientInvalid):
        TEMPLATE.place(address)


@given(hostile, hostile)
def test_it_never_leaves_the_root(local: str, domain: str) -> None:
    try:
        place = TEMPLATE.place(f"{local}@{domain}")
    except RecipientInvalid:
        return
    assert place.root == Path("/srv/mail")
    assert len(place.parts) == 2
    for part in place.parts:
        assert part not in {"", ".", ".."}
        assert not part.startswith(".")
        assert not set(part) & {"/", "\0", "\n", "@"}
        assert len(part.encode()) <= 255
    assert place.path.parent.parent == place.root


names = st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=15)


@given(names, names)
def test_it_is_stable(local: str, domain: str) -> None:
    try:
        first = Recipient.parse(f"{local}@{domain}")
    except RecipientInvalid:
        return
    assert Recipient.parse(f"{first.local}@{first.domain}") == first


def test_it_needs_no_domain_where_the_template_has_none() -> None:
    assert PathTemplate("/home/{local}/Maildir").place("petrov") == RootedPath(Path("/home"), ("petrov", "Maildir"))
    assert PathTemplate("/home/{local}/Maildir").place("petrov@x.ru") == RootedPath(
        Path("/home"), ("petrov", "Maildir")
    )


def test_it_fills_several_fields_in_one_name() -> None:
    assert PathTemplate("/m/{domain}-{local}").place("a@x").path == Path("/m/x-a")


def test_it_refuses_a_name_that_grows_too_long() -> None:
    with pytest.raises(RecipientInvalid):
        PathTemplate("/m/{domain}-{local}").place("a@" + "x" * 254)


@pytest.mark.parametrize(
    "text",
    ["", "mail/{local}", "/mail", "/mail/{domain}", "/mail/{user}/{local}", "/mail/{local", "/mail/{local}}", "/mail/{}",
     "/mail/../{local}", "/mail/./{local}", "/mail/{local}/..", "/mail\0/{local}", "/mail/{{local}}"],
)  # fmt: skip
def test_it_refuses_a_template_that_cannot_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|needs"):
        PathTemplate(text)


def test_it_can_begin_at_the_root() -> None:
    assert PathTemplate("/{local}").place("a") == RootedPath(Path("/"), ("a",))
