"""The words of the simulator."""

from django.utils.translation import gettext_lazy as _

KINDS = {
    "old": _("collected before"),
    "new": _("new letter A"),
    "later": _("new letter B, arrives later"),
    "latest": _("new letter C, arrives last"),
    "large": _("a letter that is too large"),
}
EVENTS = {
    "fetched": (_("fetched"), "good"),
    "again": (_("fetched again"), "warn"),
    "deleted": (_("deleted"), "bad"),
    "left": (_("left"), "idle"),
    "too_large": (_("too large"), "idle"),
    "put_off": (_("next time"), "idle"),
}
