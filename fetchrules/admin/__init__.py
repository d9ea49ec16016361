"""Django's admin, for those who live there."""

from fetchrules.admin import accounts, pages  # noqa: F401 -- they register themselves
