"""Where data is kept when nobody says where."""

from pathlib import Path

import pytest

from utm_mail.env import CHECKOUT, BadEnvironment, data_directory, default_data


@pytest.mark.parametrize(
    ("checkout", "root", "shared", "place"),
    [
        ("/opt/utm-mail", True, "/data", "/opt/utm-mail/var"),
        ("/opt/utm-mail", False, "/data", "/opt/utm-mail/var"),
        (None, True, "/data", "/var/lib/utm-mail"),
        (None, False, "/data", "/data/utm-mail"),
        (None, False, "", "~/.local/share/utm-mail"),
        (None, False, "relative/is/ignored", "~/.local/share/utm-mail"),
    ],
)
def test_it_keeps_data_in_the_checkout_or_where_the_system_does(
    checkout: str | None, root: bool, shared: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", shared)
    assert default_data(Path(checkout) if checkout else None, root=root) == Path(place)


def test_the_demonstration_has_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHECKOUT
    monkeypatch.delenv("UTM_MAIL_DATA")
    assert data_directory() == CHECKOUT / "var"
    monkeypatch.setenv("UTM_MAIL_DEMO", "1")
    assert data_directory() == CHECKOUT / "var" / "demo"


def test_it_says_that_a_home_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTM_MAIL_DATA", "~nobody-of-this-name/data")
    with pytest.raises(BadEnvironment, match="UTM_MAIL_DATA: cannot use ~nobody-of-this-name/data"):
        data_directory()
