"""The text of ten thousand rules takes a second to parse: whatever is done with it, it is parsed once."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import FrameType

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from fetchrules.models import Revision, ServiceSettings
from fetchrules.ruletext import document

LINE = "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru\n"
SHOWN = LINE.replace("petrovpasswd", "********")
RC = "poll mailserver.ru proto pop3 user petrov pass petrovpasswd is petrov@mydomain.ru\n"


@contextmanager
def parsed() -> Iterator[list[str]]:
    """The texts that are parsed meanwhile."""
    texts: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is document.parse.__code__:
            texts.append(str(frame.f_locals["text"]))

    former = sys.getprofile()
    sys.setprofile(note)
    try:
        yield texts
    finally:
        sys.setprofile(former)


def post(client: Client, text: str, do: str, **more: object) -> list[str]:
    data = {"text": text, "do": do, "version": ServiceSettings.current().text_version, **more}
    with parsed() as texts:
        assert client.post(reverse("text"), data).status_code in {200, 302}
    return texts


@pytest.mark.parametrize("do", ["check", "apply", "add"])
@pytest.mark.parametrize("text", [LINE, SHOWN, "nonsense\n"])
def test_it_parses_a_text_once(do: str, text: str, admin: Client) -> None:
    assert post(admin, text, do) == [text]


def test_it_parses_a_text_once_for_a_fragment(admin: Client) -> None:
    assert post(admin, LINE, "check", fragment="1") == [LINE]


@pytest.mark.parametrize("do", ["check", "apply"])
def test_it_parses_the_remembered_text_too(do: str, admin: Client) -> None:
    post(admin, LINE, "check")
    assert sorted(post(admin, SHOWN, do)) == sorted([SHOWN, LINE])


@pytest.mark.parametrize("content", [LINE, RC], ids=["text", "fetchmailrc"])
def test_it_parses_a_file_once(content: str, admin: Client) -> None:
    assert len(post(admin, "", "check", file=SimpleUploadedFile("rules.txt", content.encode()))) == 1


def test_it_parses_an_earlier_text_once(admin: Client) -> None:
    post(admin, LINE, "apply")
    post(admin, "# nothing\n", "apply", delete_missing="1")
    with parsed() as texts:
        admin.post(reverse("revision_undo", args=[Revision.objects.get(version=1).id]), {"version": 2})
    assert texts == [SHOWN]


def test_it_parses_a_pasted_line_once(admin: Client) -> None:
    with parsed() as texts:
        admin.post(reverse("rule_new"), {"line": LINE})
    assert texts == [LINE]


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
@pytest.mark.parametrize("content", [LINE, RC], ids=["text", "fetchmailrc"])
def test_it_parses_an_imported_file_once(content: str, options: list[str], tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text(content)
    with parsed() as texts:
        call_command("rules", "import", str(path), *options, stdout=StringIO(), stderr=StringIO())
    assert len(texts) == 1
