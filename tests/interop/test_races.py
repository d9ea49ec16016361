"""Two people change one rule at the same moment, over real HTTP: a password goes nowhere but where its writer sent it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from tests.interop.browser import Browser
from tests.interop.installation import Installation, Panel
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import Behaviour, Mailbox, Pop3Server
from tests.waiting import until

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("postgres")]

WORD = "correct horse battery staple"
PEOPLE = f"""
from django.contrib.auth.models import Permission, User
from fetchrules.models import ServiceSettings
for name in ("erin", "charlie", "dora", "frank"):
    User.objects.create_user(name, name + "@mydomain.ru", {WORD!r}, is_staff=name == "frank")
codenames = ("change_fetchrule", "view_fetchrule")
User.objects.get(username="erin").user_permissions.set(Permission.objects.filter(codename="change_fetchrule"))
User.objects.get(username="frank").user_permissions.set(Permission.objects.filter(codename__in=codenames))
ServiceSettings.current()
ServiceSettings.objects.update(owner_rules=3)
print(*User.objects.order_by("username").filter(username__in=("charlie", "dora")).values_list("id", flat=True))
"""
"""An editor, two owners, and a member of the staff; nobody of them may see passwords."""

CLEAR = Behaviour(capabilities=("TOP", "UIDL"))
ROUNDS = 3
AFTERWARDS = 4
"""So often each of the others sends their form after the administrator's was taken."""

FORM = {
    "server": "127.0.0.1",
    "protocol": "pop3",
    "encryption": "auto",
    "sslcertck": "on",
    "user": "petrov",
    "recipient": "charlie@mydomain.ru",
    "treatment": "leave",
    "limit_unit": "m",
    "enabled": "on",
}
ADMIN_FORM = {name: value for name, value in FORM.items() if name not in {"treatment", "limit_unit"}} | {
    "keep": "on",
    "folders": "[]",
    "sslfingerprint": "[]",
    "auth": "any",
}


@dataclass(frozen=True, slots=True)
class House:
    """A running installation and the ids of the two owners in it."""

    panel: Panel
    charlie: str
    dora: str

    def browser(self, name: str) -> Browser:
        """That person's, logged in."""
        browser = Browser(self.panel.address)
        password = self.panel.password if name == "admin" else WORD
        assert password
        assert browser.log_in(name, password).status == 302
        return browser


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    env = {}
    if request.param == "postgresql":
        env["UTM_MAIL_DATABASE_URL"] = request.getfixturevalue("postgres").new_database()
    installation = Installation(tmp_path, env)
    installation.prepare()
    with installation.up() as panel:
        charlie, dora = installation.manage("shell", "-v0", "-c", PEOPLE).stdout.split()
        yield House(panel, charlie, dora)


def write(admin: Browser, path: str, **fields: str) -> None:
    """The administrator's form, again and again until nobody has been quicker."""
    until(lambda: admin.post(path, {**ADMIN_FORM, **fields}).status == 302)


@pytest.mark.parametrize(
    ("name", "path", "form"),
    [
        ("erin", "/rules/1/", FORM),
        ("charlie", "/rules/1/", FORM),
        ("frank", "/admin/fetchrules/fetchrule/1/change/", ADMIN_FORM),
    ],
    ids=["editor", "owner", "staff"],
)
def test_it_carries_no_password_to_the_server_of_another(
    name: str, path: str, form: dict[str, str], house: House
) -> None:
    admin = house.browser("admin")
    owned = {"owner": house.charlie} if name == "charlie" else {}
    given = {"owner": house.dora, "recipient": "dora@mydomain.ru"} if name == "charlie" else {}
    change = "/admin/fetchrules/fetchrule/1/change/"
    with Pop3Server({"petrov": Mailbox("known", Maildrop())}, CLEAR) as theirs, Pop3Server({}, CLEAR) as other:
        here, there = {"port": str(theirs.port)}, {"port": str(other.port)}
        write(admin, "/admin/fetchrules/fetchrule/add/", new_password="known", **here, **owned)
        for number in range(ROUNDS):
            taken = Event()

            def insist(browser: Browser, taken: Event = taken) -> None:
                """The unchanged form, with the revision that the rule is at, as far as it can be seen."""
                left, pause = AFTERWARDS, 0.0
                while left:
                    left -= taken.is_set()
                    time.sleep(pause)
                    pause += 0.02  # or the administrator would never come between
                    answer = browser.get(path)
                    if answer.status == 200:
                        browser.send(path, {**browser.hidden_in(answer), **form, **here})

            with ThreadPoolExecutor() as pool:
                tries = [pool.submit(insist, house.browser(name)) for _ in range(3)]
                try:
                    write(admin, change, new_password=f"secret-{number}", **there, **given)
                finally:
                    taken.set()
            for each in tries:
                each.result()
            page = admin.get("/rules/1/").text
            assert f'name="port" value="{other.port}"' in page
            assert ("dora@mydomain.ru" in page) == bool(given)
            write(admin, change, new_password="known", **here, **owned)
        if not owned:
            until(lambda: any("known" in line for line in theirs.said))
        assert [line for line in theirs.said if "secret" in line] == []
    assert "Internal Server Error" not in house.panel.log.read_text()


def test_it_holds_an_owner_to_the_number_of_rules_that_he_may_have(house: House) -> None:
    browsers = [house.browser("charlie") for _ in range(8)]
    forms = [browser.hidden("/rules/new/") for browser in browsers]

    def add(number: int) -> int:
        filled = {**forms[number], **FORM, "user": f"petrov{number}", "password": "p"}
        return browsers[number].send("/rules/new/", filled).status

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(add, range(8)))
    assert set(answers) <= {200, 302}
    rows = house.browser("admin").get("/").text.count('data-rule="')
    assert rows == 3
