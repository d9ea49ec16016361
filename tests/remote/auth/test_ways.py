"""What each way gives away."""

import pytest

from fetchrules.remote.auth.ways import SASL, SHOWING, Kind, Way


@pytest.mark.parametrize("way", Way)
def test_it_has_a_kind(way: Way) -> None:
    assert (way.kind is Kind.SHOWN) == (way in SHOWING)


def test_it_tells_mechanisms_from_the_protocols_own_ways() -> None:
    assert {way.value for way in Way} - {way.value for way in SASL} == {"APOP", "password"}
