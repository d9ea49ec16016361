"""The formats that rules can be downloaded in, and their names."""

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class FileFormat(StrEnum):
    """A format; the values are those of the command line."""

    TEXT = "text"
    BLANKS = "utm-blanks"
    BARS = "utm-bars"
    FETCHMAILRC = "fetchmailrc"
    JSON = "json"


NAMES: list[tuple[str, str | Promise]] = [
    (FileFormat.TEXT.value, _("Text as written, with comments")),
    (FileFormat.BLANKS.value, _("Rule lines with blanks")),
    (FileFormat.BARS.value, _("Rule lines with bars")),
    (FileFormat.FETCHMAILRC.value, ".fetchmailrc"),
    (FileFormat.JSON.value, "JSON"),
]

FILES: dict[FileFormat, tuple[str, str]] = {
    FileFormat.TEXT: ("rules.txt", "text/plain"),
    FileFormat.BLANKS: ("rules.txt", "text/plain"),
    FileFormat.BARS: ("rules.txt", "text/plain"),
    FileFormat.FETCHMAILRC: ("fetchmailrc", "text/plain"),
    FileFormat.JSON: ("rules.json", "application/json"),
}
"""Name and media type of the file."""
