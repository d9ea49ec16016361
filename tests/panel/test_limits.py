"""What is too much is refused before it is read, and nothing of it stays behind."""

import socket
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import FrameType

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from fetchrules.models import FetchRule
from fetchrules.panel.middleware.requests import USUAL
from fetchrules.rule import MAX_RULES
from fetchrules.rulebook.text import load
from fetchrules.ruletext.document import MAX_OCTETS
from fetchrules.ruletext.sources import keeps_password
from tests.conftest import MakeRule
from utm_mail.web_server import DRAINED, Web

LINE = "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru"


def session_octets() -> int:
    return sum(len(session.session_data) for session in Session.objects.all())


@pytest.fixture
def editor(client: Client, bob: User) -> Client:
    bob.user_permissions.add(Permission.objects.get(codename="change_fetchrule"))
    client.force_login(bob)
    return client


@pytest.mark.parametrize(
    ("path", "size"),
    [("/text/", 100_000_000), ("/text/", 10**30), ("/rules/bulk/", USUAL + 1), ("/text/history/1/undo/", USUAL + 1)],
)
def test_it_reads_no_body_that_is_too_large(path: str, size: int, editor: Client) -> None:
    answer = editor.generic("POST", path, b"", CONTENT_LENGTH=str(size))
    assert answer.status_code == 413
    assert "Too much at once" in answer.content.decode()


@pytest.mark.parametrize("path", ["/text/", "/login/"])
def test_it_takes_no_more_than_a_form_from_those_who_do_not_edit_the_text(
    path: str, client: Client, charlie: User
) -> None:
    assert client.generic("POST", path, b"", CONTENT_LENGTH=str(USUAL + 1)).status_code == 413
    client.force_login(charlie)
    assert client.generic("POST", path, b"", CONTENT_LENGTH=str(USUAL + 1)).status_code == 413


def refused(client: Client, **data: object) -> str:
    """The page that answers to too much. Nothing of it may be left in the session."""
    client.get(reverse("text"))
    before = session_octets()
    page = client.post(reverse("text"), {"do": "check", **data}).content.decode()
    assert session_octets() <= before
    assert len(page) < 100_000
    return page


def test_it_reads_no_file_that_is_too_large(editor: Client, make_rule: MakeRule) -> None:
    make_rule(user="kept")
    upload = SimpleUploadedFile("rules.txt", b"#" + MAX_OCTETS * b"\n")
    page = refused(editor, file=upload)
    assert "at most 5 MB" in page
    assert "mailserver.ru:pop3 kept ********" in page  # the text as it is, not an empty one that could be applied


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x" * (MAX_OCTETS + 1), "at most 5 MB"),
        ("я" * (MAX_OCTETS // 2 + 1), "at most 5 MB"),
        (LINE[:20] + "\n" + f"{LINE}\n" * MAX_RULES, f"too many rules: at most {MAX_RULES}"),
    ],
)
def test_it_keeps_nothing_of_a_text_that_is_too_much(
    text: str, words: str, editor: Client, make_rule: MakeRule
) -> None:
    make_rule(user="kept")
    page = refused(editor, text=text)
    assert words in page
    assert "mailserver.ru:pop3 kept ********" in page
    assert not FetchRule.objects.exclude(user="kept").exists()


def test_it_keeps_no_draft_where_there_is_nothing_to_hide(editor: Client, make_rule: MakeRule) -> None:
    make_rule()
    editor.get(reverse("text"))
    before = session_octets()
    editor.post(reverse("text"), {"do": "check", "text": load() + "# a comment\n" * 1000})
    assert session_octets() == before
    editor.post(reverse("text"), {"do": "check", "text": f"{LINE}\n"})
    assert session_octets() > before


@pytest.mark.parametrize("do", ["add", "remove"])
def test_it_keeps_passwords_while_lines_are_added_and_removed(do: str, admin: Client) -> None:
    admin.post(reverse("text"), {"do": do, "text": f"{LINE}\n"})
    masked = LINE.replace("petrovpasswd", "********")
    page = admin.post(reverse("text"), {"do": "check", "text": f"{masked}\n"}).content.decode()
    assert "the password is needed" not in page


def test_it_puts_passwords_back_in_time_due_to_their_number(editor: Client) -> None:
    """Each line is held against the rules of its own account alone."""
    lines = [f"mailserver.ru:pop3 u{n} secret{n} r@mydomain.ru" for n in range(300)]
    editor.post(reverse("text"), {"do": "check", "text": "\n".join(lines)})
    edited = [f"mailserver.ru:pop3 u{n} ******** r@mydomain.ru keep interval 7" for n in range(300)]
    calls = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is keeps_password.__code__

    sys.setprofile(count)
    try:
        page = editor.post(reverse("text"), {"do": "check", "text": "\n".join(edited)}).content.decode()
    finally:
        sys.setprofile(None)
    assert "the password is needed" not in page
    assert calls <= 5 * len(lines)


def test_it_adds_no_more_rules_than_an_installation_may_have(
    editor: Client, make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetchrules.rulebook.preview.MAX_RULES", 2)
    make_rule(user="one")
    make_rule(user="two")
    added = editor.post(reverse("text"), {"do": "check", "text": f"{LINE}\n"})
    assert "too many rules: at most 2" in added.content.decode()
    replaced = editor.post(reverse("text"), {"do": "check", "text": f"{LINE}\n", "delete_missing": "on"})
    assert "too many rules" not in replaced.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["import", "check"])
def test_it_imports_no_larger_file_either(verb: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_bytes(b"#" + MAX_OCTETS * b"\n")
    with pytest.raises(CommandError, match="5"):
        call_command("rules", verb, str(file))


@pytest.fixture
def web(db: None) -> Iterator[int]:
    """The port of the panel, as `up` serves it."""
    part = Web("127.0.0.1", 0)
    thread = Thread(target=part.run)
    thread.start()
    yield part.server_port
    part.stop()
    thread.join()


def posted(port: int, size: int) -> bytes:
    """What is answered to a body of `size`, all of it sent unless the server hangs up before."""
    head = f"POST /text/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.sendall(head)
        answer = sock.recv(4096)
        piece = bytes(64 * 1024)
        try:
            for _ in range(size // len(piece)):
                sock.sendall(piece)
        except OSError:
            return answer
        return answer


@pytest.mark.parametrize("size", [50_000_000, DRAINED + 50_000_000])
def test_it_holds_no_large_body_in_memory(size: int, web: int) -> None:
    tracemalloc.start()
    try:
        answer = posted(web, size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert peak < 20_000_000


@pytest.mark.parametrize(
    "path", ["/?q=a%00", "/journal/?q=%00", "/admin/fetchrules/run/?state__exact=%00", "/login/?x=%00"]
)
def test_it_searches_for_no_nul(path: str, client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.get(path)
    assert answer.status_code == 400
    assert "Traceback" not in answer.content.decode()
