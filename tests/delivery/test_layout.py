"""Where Maildirs are: the administrator's line, and the directories that it means."""

from pathlib import Path

import pytest

from fetchrules.delivery.maildir import Maildir, MaildirLayout

WRITTEN = {
    "maildir:/var/vmail/{domain}/{local}": "/var/vmail/mydomain.ru/petrov",
    "maildir:/var/vmail/{local}?folder=Collected": "/var/vmail/petrov/.Collected",
    "maildir:/var/vmail/{local}?folder=Сбор/Архив": "/var/vmail/petrov/.&BCEEMQQ+BEA-.&BBAEQARFBDgEMg-",
    "maildir:/var/vmail/{local}?folder=A.B": "/var/vmail/petrov/.A.B",
    "maildir:/var/vmail/{local}?folder=R%26D": "/var/vmail/petrov/.R&-D",
}


@pytest.mark.parametrize("value", WRITTEN)
def test_it_finds_the_directory(value: str) -> None:
    layout = MaildirLayout.parse(value)
    assert layout.maildir(layout.template.place("petrov@mydomain.ru")).path == Path(WRITTEN[value])


@pytest.mark.parametrize(
    "options",
    [
        "?",
        "?folder",
        "?folder=",
        "?folder=a//b",
        "?folder=a%00",
        "?folder=a&folder=b",
        "?name=a",
        "?folder=" + "я" * 200,
    ],
)
def test_it_refuses_what_is_no_folder(options: str) -> None:
    with pytest.raises(ValueError, match=r"folder|query"):
        MaildirLayout.parse("maildir:/var/vmail/{local}" + options)


@pytest.mark.parametrize("options", ["", "?folder=Collected"])
def test_it_opens_the_mailbox_there(options: str, tmp_path: Path) -> None:
    layout = MaildirLayout.parse(f"maildir:{tmp_path}/{{local}}{options}")
    place = layout.template.place("petrov")
    mailbox = Maildir(place, folder=layout.folder)
    mailbox.prepare(0)
    mailbox.close()
    assert (layout.maildir(place).path / "new").is_dir()
