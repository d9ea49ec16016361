"""The catalogue of each language: complete, certain, and the compiled file is that of the source beside it."""

import gettext
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.interop.installed import program

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "fetchrules/locale"
SPOKEN = [code for code, _ in settings.LANGUAGES if code != "en"]
"""The languages that the code is translated into."""
PLURAL_FORMS = {"ru": 3}
_PLACEHOLDER = re.compile(r"%\([a-z_]+\)[sd]|%[sd]")


def catalogue_of(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def entries(language: str) -> Iterator[dict[str, str]]:
    """Each entry as keyword → text, as written between the quotes."""
    for block in catalogue_of(language).read_text(encoding="utf-8").split("\n\n")[1:]:
        entry: dict[str, str] = {"flags": ""}
        keyword = ""
        for line in block.splitlines():
            if line.startswith("#,"):
                entry["flags"] += line
            elif found := re.match(r'(msg\w+(?:\[\d\])?) "(.*)"$', line):
                keyword = found[1]
                entry[keyword] = found[2]
            elif line.startswith('"'):
                entry[keyword] += line[1:-1]
        if "msgid" in entry:
            yield entry


@pytest.mark.parametrize("language", SPOKEN)
def test_it_leaves_nothing_untranslated(language: str) -> None:
    empty = [
        entry["msgid"]
        for entry in entries(language)
        for name, text in entry.items()
        if name.startswith("msgstr") and not text
    ]
    assert empty == []


@pytest.mark.parametrize("language", SPOKEN)
def test_it_leaves_nothing_uncertain(language: str) -> None:
    assert [entry["msgid"] for entry in entries(language) if "fuzzy" in entry["flags"]] == []


@pytest.mark.parametrize("language", SPOKEN)
def test_it_has_all_forms_of_every_plural(language: str) -> None:
    plural = [entry for entry in entries(language) if "msgid_plural" in entry]
    assert plural
    forms = {f"msgstr[{number}]" for number in range(PLURAL_FORMS[language])}
    assert [entry["msgid"] for entry in plural if not forms <= entry.keys()] == []


@pytest.mark.parametrize("language", SPOKEN)
def test_it_keeps_every_placeholder(language: str) -> None:
    def differ(entry: dict[str, str]) -> bool:
        wanted = set(_PLACEHOLDER.findall(entry.get("msgid_plural", entry["msgid"])))
        return any(
            set(_PLACEHOLDER.findall(text)) != wanted for name, text in entry.items() if name.startswith("msgstr")
        )

    assert [entry["msgid"] for entry in entries(language) if differ(entry)] == []


@pytest.mark.parametrize("language", SPOKEN)
def test_it_is_compiled_as_it_is_written(language: str) -> None:
    with catalogue_of(language).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    differing = [
        entry["msgid"]
        for entry in entries(language)
        if "msgstr" in entry and "\\" not in "".join(entry.values()) and _told(compiled, entry) != entry["msgstr"]
    ]
    assert differing == []


def _told(compiled: gettext.GNUTranslations, entry: dict[str, str]) -> str:
    if "msgctxt" in entry:
        return compiled.pgettext(entry["msgctxt"], entry["msgid"])
    return compiled.gettext(entry["msgid"])


@pytest.mark.interop
@pytest.mark.parametrize("language", SPOKEN)
def test_it_holds_every_string_of_the_code(language: str, tmp_path: Path) -> None:
    """What xgettext finds in the code is in the catalogue: nobody added a sentence and forgot its translation."""
    xgettext = program("xgettext", "gettext")
    sources = [str(path) for room in ("fetchrules", "utm_mail") for path in (ROOT / room).rglob("*.py")]
    keywords = [
        "gettext_lazy",
        "gettext_noop",
        "ngettext:1,2",
        "ngettext_lazy:1,2",
        "pgettext:1c,2",
        "pgettext_lazy:1c,2",
    ]
    command = [str(xgettext), "--language=Python", "--from-code=UTF-8", "-o", str(tmp_path / "found.pot"), "--no-wrap"]
    subprocess.run([*command, *(f"--keyword={word}" for word in keywords), *sources], check=True, capture_output=True)
    found = set(re.findall(r'^msgid "(.+)"$', (tmp_path / "found.pot").read_text(encoding="utf-8"), re.MULTILINE))
    assert sorted(found - {entry["msgid"] for entry in entries(language)}) == []


@pytest.mark.parametrize("language", SPOKEN)
def test_it_holds_every_string_of_the_templates(language: str) -> None:
    written = {
        found[2].replace('"', '\\"')
        for path in (ROOT / "templates").rglob("*.html")
        for found in re.finditer(r"""{% translate (["'])(.+?)\1""", path.read_text(encoding="utf-8"))
    }
    assert sorted(written - {entry["msgid"] for entry in entries(language)}) == []
