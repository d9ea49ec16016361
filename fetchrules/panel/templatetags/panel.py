"""What the panel's templates need beside Django's own tags: icons, tabs, moments and amounts in words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django import template
from django.conf import settings
from django.core.paginator import Page
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from fetchrules.acts import roles
from fetchrules.errors import harmless
from fetchrules.words import amounts, times

register = template.Library()

register.filter("octets", amounts.octets)
register.filter("harmless", harmless)
register.filter("count", amounts.count)
register.filter("exact", times.exact)
register.filter("exact_second", times.exact_second)
register.filter("duration", amounts.duration)


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, seen from now."""
    return times.ago(moment, timezone.now())


@register.filter
def elided(page: Page[Any]) -> Iterator[int | str]:
    """The numbers of the pages around `page`, the first and the last ones; an ellipsis where some are left out."""
    return page.paginator.get_elided_page_range(page.number)


@register.filter
def breakable(address: str) -> SafeString:
    """`address` with places where a line may end: behind the at sign and the dots, before a letter is cut off."""
    return mark_safe(re.sub(r"(?<=[@.])", "<wbr>", escape(harmless(address))))  # noqa: S308 -- it is escaped


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """An icon of the sprite. It says nothing to a screen reader: the words stand beside it, or in the button's name."""
    return _icon(name, extra, settings.STATIC_URL)


@cache
def _icon(name: str, extra: str, _static_url: str) -> SafeString:
    """A list of rules has hundreds of icons, of a dozen kinds."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>', extra, static("img/icons.svg"), name
    )


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the joined tab buttons."""

    url: str
    title: str
    current: bool


def _everybody(_user: roles.Reader) -> bool:
    return True


def _in_demonstration(_user: roles.Reader) -> bool:
    return bool(settings.UTM_MAIL_DEMO)


_TABS = (
    ("rules", "/rules/", _("Rules"), _everybody),
    ("text", "/text/", _("As text"), roles.edits_all),
    ("journal", "/journal/", _("Journal"), _everybody),
    ("statistics", "/statistics/", _("Statistics"), _everybody),
    ("settings", "/settings/", _("Settings"), roles.administers),
    ("arrivals", "/demo/", _("What arrived"), _in_demonstration),
)


@register.inclusion_tag("components/_tabs.html", takes_context=True)
def tabs(context: template.Context) -> dict[str, object]:
    """The tabs that the reader may open."""
    request: HttpRequest = context["request"]
    shown = [
        Tab(reverse(name), str(title), request.path == reverse(name) or request.path.startswith(prefix))
        for name, prefix, title, allowed in _TABS
        if allowed(request.user)
    ]
    return {"tabs": shown}
