"""What a request says of itself: whom a proxy heard it from, and how large it is.

A request carries a list of addresses in X-Forwarded-For. Each proxy writes at its end whom it heard from; what stands before
that was written by whoever came to it. So the list is read from the end, and only as far as our own proxies go.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from fetchrules.acts import roles
from fetchrules.panel.params import number

Network = IPv4Network | IPv6Network
_CLAIMS = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO")


class ForwardedMiddleware:
    """Let REMOTE_ADDR be the reader's address, and drop what a stranger claims of himself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta, proxies = request.META, settings.UTM_MAIL_TRUSTED_PROXIES
        peer = meta.get("REMOTE_ADDR", "")
        if _is_proxy(peer, proxies):
            meta["REMOTE_ADDR"] = reader(peer, meta.get("HTTP_X_FORWARDED_FOR", ""), proxies)
        else:
            for claim in _CLAIMS:
                meta.pop(claim, None)
        return self.get_response(request)


def reader(peer: str, forwarded: str, proxies: tuple[Network, ...]) -> str:
    """Whom the last of our proxies heard from; `peer` is connected to us, `forwarded` is the list that came along."""
    address = peer
    for hop in reversed(forwarded.split(",")):
        said = _parsed(hop.strip())
        if said is None or not _is_proxy(address, proxies):
            break
        address = str(said)
    return address


def _is_proxy(address: str, proxies: tuple[Network, ...]) -> bool:
    """A socket of this machine has no address: it is as near as the loopback address."""
    found = _parsed(address or "127.0.0.1")
    return found is not None and any(found in network for network in proxies)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it, perhaps in brackets or with a port; a mapped one without its wrapping."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


USUAL = 1024 * 1024
"""Octets of a form; those of ten thousand ticked rules are a quarter of it."""


class RequestLimitMiddleware:
    """Behind AuthenticationMiddleware. A body without a length is none: Django reads no more than `Content-Length` says.

    No text of ours holds a NUL, and PostgreSQL takes none to search for; in bodies, the fields of forms refuse it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("a NUL in the query")
        size = number(request.META.get("CONTENT_LENGTH") or "0")
        if size is None or (size > USUAL and size > _most(request)):
            return render(request, "413.html", status=413)
        return self.get_response(request)


def _most(request: HttpRequest) -> int:
    """The text of all rules may be larger, for those who may edit it."""
    user = request.user
    if request.path_info == reverse("text") and user.is_authenticated and roles.edits_all(user):
        return settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return USUAL
