"""Django's admin, for those who live there. What is changed here goes through the acts, as everywhere."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from fetchrules.admin import accounts, read_only, rules, settings  # noqa: F401 -- they register themselves

admin.site.site_header = _("Mail collection from remote servers")
admin.site.site_title = _("Mail collection")
