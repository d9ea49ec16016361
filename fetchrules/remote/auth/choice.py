"""Which ways to log in there are, in the order in which they are tried.

SCRAM comes first. Under TLS the password may be shown: that works with everything a server may have stored, and the digests of
the nineties are weaker than the TLS around them. On a clear line they come before anything that shows the password.

    offer = Offer.of(the server's SASL mechanisms, and the ways that it offers otherwise)
    order = ways(offer, protected=..., forced=..., refused=memory.refused(server), sayable=...)
    for way in Attempts(memory, login, order): ...
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fetchrules.errors import LoginUnsupported
from fetchrules.remote.auth.ways import SASL, SHOWING, Way

PROTECTED = (Way.SCRAM_SHA_256, Way.SCRAM_SHA_1, Way.NATIVE, Way.PLAIN, Way.LOGIN, Way.CRAM_MD5, Way.APOP)
CLEAR = (Way.SCRAM_SHA_256, Way.SCRAM_SHA_1, Way.CRAM_MD5, Way.APOP, Way.NATIVE, Way.PLAIN, Way.LOGIN)


@dataclass(frozen=True, slots=True)
class Offer:
    """The ways that a server offers, and for people the names of all, which may be others. What it rules out is not in it."""

    ways: frozenset[Way]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, mechanisms: Iterable[str], *others: Way) -> "Offer":
        """`mechanisms`: names of SASL as the server announces them; `others`: APOP or the protocol's own way."""
        named = {name for name in map(str.upper, mechanisms) if _NAME.fullmatch(name)}
        ways = frozenset(way for way in SASL if way in named) | frozenset(others)
        return cls(ways, tuple(sorted(named | set(others))))


# RFC 4422 section 3.1: sasl-mech = 1*20mech-char
_NAME = re.compile(r"[A-Z0-9_-]{1,20}")


def ways(
    offer: Offer,
    *,
    protected: bool,
    forced: Way | None = None,
    refused: frozenset[Way] = frozenset(),
    sayable: bool = True,
) -> tuple[Way, ...]:
    """The ways to try, the best first; `refused` ones last. Raises LoginUnsupported, which names what is offered.

    `sayable`: the protocol's own way can say this user and password. `forced` is the only one; it is tried though the server
    does not announce it, since many announce too little. But it shows no password on a clear line to a server that takes none
    there, and APOP needs a timestamp.
    """
    if forced is not None:
        possible = forced in offer.ways or (forced is not Way.APOP and _may_be_said(forced, offer, protected=protected))
        order = [forced] if possible else []
    else:
        order = [way for way in (PROTECTED if protected else CLEAR) if way in offer.ways]
        order.sort(key=lambda way: (way in refused, way is Way.NATIVE and not sayable))
    if not order:
        raise LoginUnsupported(", ".join(offer.names))
    return tuple(order)


def _may_be_said(forced: Way, offer: Offer, *, protected: bool) -> bool:
    return protected or forced not in SHOWING or not offer.ways.isdisjoint(SHOWING)
