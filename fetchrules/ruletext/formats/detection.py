"""Recognize the format of a file, and read it."""

import codecs
import re
from enum import StrEnum

from fetchrules.ruletext.document import MAX_OCTETS
from fetchrules.ruletext.formats.exchange import import_json
from fetchrules.ruletext.formats.fetchmailrc.importer import import_fetchmailrc
from fetchrules.ruletext.formats.foreign import Imported
from fetchrules.ruletext.formats.postfixadmin import import_postfixadmin, looks_like_postfixadmin
from fetchrules.ruletext.problem import Code, Problem


class Format(StrEnum):
    """The formats that can be imported."""

    TEXT = "text"
    FETCHMAILRC = "fetchmailrc"
    JSON = "json"
    POSTFIXADMIN = "postfixadmin"


_FETCHMAILRC = re.compile(r"(?:\s|#[^\n]*(?:\n|\Z))*(?:poll|skip|server|defaults|set)[:;,]*\s")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode(octets: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 with a mark, or else Windows-1251, the encoding of old files of Russian servers.

    A mark before UTF-8 stays part of the text. Octets that Windows-1251 does not know become U+FFFD.
    """
    if octets.startswith(_UTF16):
        return octets.decode("utf-16", "replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1251", "replace")


def detect(text: str) -> Format:
    """The most likely format of `text`: one with an unmistakable beginning, else the rule text."""
    body = text.removeprefix("\ufeff")
    if body.lstrip().startswith("{"):
        return Format.JSON
    if looks_like_postfixadmin(body):
        return Format.POSTFIXADMIN
    return Format.FETCHMAILRC if _FETCHMAILRC.match(body) else Format.TEXT


def import_foreign(text: str, form: Format, domain: str = "") -> Imported:
    """The rules of a file in another format than the rule text. `domain` completes a .fetchmailrc's local names that have none."""
    if len(text) > MAX_OCTETS:
        return Imported(problems=(Problem(Code.TEXT_TOO_LONG, line=1, column=1, maximum=MAX_OCTETS),))
    match form:
        case Format.FETCHMAILRC:
            return import_fetchmailrc(text, domain)
        case Format.JSON:
            return import_json(text)
        case Format.POSTFIXADMIN:
            return import_postfixadmin(text)
        case Format.TEXT:
            raise ValueError("the rule text is parsed, not imported")
