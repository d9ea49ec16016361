"""The order of the ways: a table, and laws over every offer."""

from itertools import chain, combinations, product

import pytest

from fetchrules.errors import LoginUnsupported
from fetchrules.remote.auth.choice import CLEAR, PROTECTED, Offer, ways
from fetchrules.remote.auth.ways import SHOWING, Kind, Way

ALL = Offer(frozenset(Way))
SUBSETS = [frozenset(some) for some in chain.from_iterable(combinations(Way, count) for count in range(len(Way) + 1))]


def test_it_shows_the_password_under_tls_before_the_digests_of_the_nineties() -> None:
    assert [str(way) for way in ways(ALL, protected=True)] == [
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "password",
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "APOP",
    ]


def test_it_shows_the_password_on_a_clear_line_last() -> None:
    assert [str(way) for way in ways(ALL, protected=False)] == [
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "CRAM-MD5",
        "APOP",
        "password",
        "PLAIN",
        "LOGIN",
    ]


@pytest.mark.parametrize("protected", [True, False])
def test_it_tries_what_is_offered_once_each_and_nothing_else(protected: bool) -> None:
    for offered, sayable in product(SUBSETS[1:], [True, False]):
        for refused in (frozenset[Way](), frozenset({Way.SCRAM_SHA_256, Way.NATIVE}), offered):
            order = ways(Offer(offered), protected=protected, refused=refused, sayable=sayable)
            assert len(order) == len(offered)
            assert set(order) == offered


@pytest.mark.parametrize("protected", [True, False])
def test_it_tries_what_was_refused_last(protected: bool) -> None:
    for offered, refused in product(SUBSETS[1:], SUBSETS):
        order = ways(Offer(offered), protected=protected, refused=refused)
        assert [way in refused for way in order] == sorted(way in refused for way in order)


def test_it_shows_no_password_on_a_clear_line_before_every_proof() -> None:
    for offered, sayable in product(SUBSETS[1:], [True, False]):
        shown = [way in SHOWING for way in ways(Offer(offered), protected=False, sayable=sayable)]
        assert shown == sorted(shown)


def test_it_keeps_the_nineties_behind_the_password_under_tls() -> None:
    for offered in SUBSETS[1:]:
        digests = [way.kind is Kind.DIGEST for way in ways(Offer(offered), protected=True)]
        assert digests == sorted(digests)


@pytest.mark.parametrize("protected", [True, False])
def test_it_says_what_the_protocols_own_way_cannot_say_by_another(protected: bool) -> None:
    for offered in SUBSETS[1:]:
        order = ways(Offer(offered), protected=protected, sayable=False)
        assert Way.NATIVE not in order[:-1]


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("protected", [True, False])
def test_it_tries_a_forced_way_alone(way: Way, protected: bool) -> None:
    assert ways(ALL, protected=protected, forced=way, refused=frozenset(Way), sayable=False) == (way,)


def test_it_forces_a_way_that_is_not_announced_unless_that_shows_what_must_not_be_seen() -> None:
    for offered, way, protected in product(SUBSETS, Way, [True, False]):
        hidden = way in SHOWING and not protected and offered.isdisjoint(SHOWING)
        if way not in offered and (hidden or way is Way.APOP):
            with pytest.raises(LoginUnsupported):
                ways(Offer(offered), protected=protected, forced=way)
        else:
            assert ways(Offer(offered), protected=protected, forced=way) == (way,)


def test_it_names_what_is_offered_where_it_knows_no_way() -> None:
    with pytest.raises(LoginUnsupported) as caught:
        ways(Offer.of(["xoauth2", "NTLM", "gssapi", "", "\x1b[1m", "X" * 21, "DOM\u0418"]), protected=True)
    assert caught.value.detail == "GSSAPI, NTLM, XOAUTH2"


def test_it_reads_an_offer() -> None:
    offer = Offer.of(["plain", "Scram-Sha-256", "SCRAM-SHA-256-PLUS", "PASSWORD", "APOP"], Way.NATIVE)
    assert offer.ways == {Way.PLAIN, Way.SCRAM_SHA_256, Way.NATIVE}
    assert offer.names == ("APOP", "PASSWORD", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "password")


def test_it_has_a_place_for_every_way() -> None:
    assert set(PROTECTED) == set(CLEAR) == set(Way)
