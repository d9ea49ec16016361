"""The text of all rules: from a paste to rules, and nothing of it lost or shown on the way."""

import json
from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.models import AuditEntry, FetchedBefore, FetchRule, Letter, Revision, ServiceSettings, SourceMailbox
from fetchrules.rulebook.rows import password_of
from fetchrules.rulebook.text import load
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.words.ruletext import explain
from tests.conftest import PASSWORD, MakeRule

LINE = "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru"
BROKEN = "mailserver.ru:pop3 sidorov sidorovpasswd sidorov@mydomain.ru kep"


def version() -> int:
    return ServiceSettings.current().text_version


def post(client: Client, text: str, do: str = "apply", **more: object) -> str:
    data = {"text": text, "do": do, "version": version(), **more}
    return client.post(reverse("text"), data, follow=True).content.decode()


def test_it_applies_what_is_pasted(admin: Client) -> None:
    page = post(admin, f"# the office\n{LINE}\n")
    assert "added 1, changed 0, deleted 0" in page
    assert password_of(FetchRule.objects.get()) == "petrovpasswd"
    assert load() == "# the office\nmailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru\n"
    assert AuditEntry.objects.get().what == "text_applied"


@pytest.mark.parametrize("do", ["check", "apply"])
def test_it_names_every_mistake_with_its_place_and_applies_nothing(do: str, admin: Client) -> None:
    page = post(admin, f"{LINE}\n{BROKEN}\nmailserver.ru\n", do)
    assert 'data-line="2"' in page
    assert "perhaps “keep”" in page
    assert 'data-line="3"' in page
    assert not FetchRule.objects.exists()


def test_it_shows_what_would_change(admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="kept", recipient="kept@mydomain.ru")
    make_rule(user="gone", recipient="gone@mydomain.ru")
    page = post(admin, f"mailserver.ru:pop3 kept ******** kept@mydomain.ru keep interval 5\n{LINE}\n", "check")
    assert "mailserver.ru:pop3 petrov → i.petrov@mydomain.ru" in page
    assert "keep: no → yes" in page
    assert "interval: — → 5" in page
    assert "missing from the text: stays" in page
    assert page.count('<span class="added">add <b>1</b></span>') == 1
    assert "unchanged <b>0</b>" in page
    assert FetchRule.objects.count() == 2


def test_it_says_of_a_new_rule_whether_it_is_polled(admin: Client) -> None:
    page = post(admin, f"{LINE} skip\n", "check")
    assert "new rule, switched off" in page
    assert "first poll at once" not in page


@pytest.mark.parametrize("do", ["check", "apply"])
def test_it_never_sends_a_pasted_password_back(do: str, admin: Client) -> None:
    page = post(admin, f"{LINE}\n{BROKEN}\n", do)
    assert "petrovpasswd" not in page
    assert "sidorovpasswd" not in page


def test_it_remembers_the_passwords_of_what_it_showed_masked(admin: Client) -> None:
    page = post(admin, f"{LINE}\n{BROKEN}\n", "check")
    assert "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru" in page
    corrected = "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep\nmailserver.ru:pop3 sidorov new sidorov@mydomain.ru\n"
    post(admin, corrected)
    assert {password_of(rule) for rule in FetchRule.objects.all()} == {"petrovpasswd", "new"}


def test_it_gives_a_remembered_password_to_its_own_account_only(admin: Client) -> None:
    post(admin, f"{LINE}\n", "check")
    page = post(admin, "evil.example:pop3 petrov ******** i.petrov@mydomain.ru\n")
    assert "the password is needed" in page
    assert not FetchRule.objects.exists()


def test_it_remembers_each_broken_line_where_it_stood(admin: Client) -> None:
    """They all look alike: a mistake that is corrected must not move the others up."""
    lines = [f"mailserver.ru:pop3 u{n} p{n} u{n}@mydomain.ru ke{n}p" for n in range(3)]
    post(admin, "\n".join([LINE, *lines, ""]), "check")
    shown = [LINE.replace("petrovpasswd", "********"), *["********"] * 3]
    for number in (0, 1):
        shown[1 + number] = lines[number].replace(f"ke{number}p", "keep")
        page = post(admin, "\n".join([*shown, ""]), "check")
        assert "unknown option “ke2p”" in page
        shown[1 + number] = shown[1 + number].replace(f"p{number} ", "******** ")
    page = post(admin, "\n".join([*shown[:3], "# below", "", "********", ""]), "check")
    assert "unknown option “ke2p”" in page


def test_it_does_not_guess_which_of_several_broken_lines_is_meant(admin: Client) -> None:
    lines = [f"mailserver.ru:pop3 u{n} p{n} u{n}@mydomain.ru ke{n}p" for n in range(3)]
    post(admin, "\n".join(["# top", *lines, "# end", ""]), "check")
    page = post(admin, "# top\n********\n# end\n# one gone, one more\n# two gone\n", "check")
    assert "unknown option" not in page
    assert "expected a host name" in page


def test_it_forgets_the_draft_when_the_page_is_opened_anew(admin: Client) -> None:
    post(admin, f"{LINE}\n", "check")
    admin.get(reverse("text"))
    assert "text_draft" not in admin.session


def test_it_keeps_the_draft_sealed(admin: Client) -> None:
    post(admin, f"{LINE}\n", "check")
    assert "petrovpasswd" not in str(dict(admin.session))


def test_it_refuses_a_text_that_was_previewed_for_other_rules(admin: Client, make_rule: MakeRule) -> None:
    old = version()
    post(admin, f"{LINE}\n")
    page = admin.post(
        reverse("text"), {"text": "", "do": "apply", "version": old, "delete_missing": "on"}
    ).content.decode()
    assert "the rules were changed meanwhile" in page
    assert FetchRule.objects.count() == 1


def test_it_deletes_missing_rules_only_when_told_to(admin: Client, make_rule: MakeRule) -> None:
    make_rule()
    post(admin, "# nothing\n")
    assert FetchRule.objects.count() == 1
    post(admin, "# nothing\n", delete_missing="on")
    assert not FetchRule.objects.exists()


def test_it_answers_a_check_with_findings_alone(admin: Client) -> None:
    page = admin.post(
        reverse("text"), {"text": BROKEN, "do": "check", "fragment": "1", "version": version()}
    ).content.decode()
    assert 'data-line="1"' in page
    assert 'data-column="62"' in page
    assert "<html" not in page
    assert "sidorovpasswd" not in page


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rules.txt", LINE),
        (
            "fetchmailrc",
            'poll mailserver.ru proto pop3 user "petrov" pass "petrovpasswd" is i.petrov@mydomain.ru here\n',
        ),
    ],
)
def test_it_reads_files(name: str, content: str, admin: Client) -> None:
    upload = SimpleUploadedFile(name, content.encode())
    page = admin.post(reverse("text"), {"file": upload, "do": "check", "version": version()}).content.decode()
    assert "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru" in page
    assert "petrovpasswd" not in page
    post(admin, "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru")
    assert password_of(FetchRule.objects.get()) == "petrovpasswd"


FETCHIDS = b"petrov@mailserver.ru a\nsidorov@mailserver.ru b\n"


def fetchids(content: bytes = FETCHIDS) -> SimpleUploadedFile:
    return SimpleUploadedFile(".fetchids", content)


def test_it_takes_over_what_another_program_has_fetched_with_the_text(admin: Client) -> None:
    page = post(admin, f"{LINE} keep", fetched=[fetchids(), SimpleUploadedFile("x", b" 1 mailserver.ru petrov\nc\n")])
    assert "petrov@mailserver.ru, fetched by fetchmail and to count as collected: 1 letter; 1 rule" in page
    assert "sidorov@mailserver.ru, fetched by fetchmail: 1 letter; no rule collects from there" in page
    assert FetchedBefore.objects.get().uids == ["a", "c"]
    assert AuditEntry.objects.get(what="fetched_lists_filed").about == ".fetchids, x"


def test_it_takes_over_what_another_program_has_fetched_for_rules_that_are_there(admin: Client) -> None:
    post(admin, f"{LINE} keep")
    page = post(admin, "# being typed", "take_over", fetched=fetchids())
    assert "petrov@mailserver.ru, fetched by fetchmail" in page
    assert "# being typed" in page
    assert FetchedBefore.objects.get().uids == ["a"]
    assert "# being typed" not in load()
    (rule,) = FetchRule.objects.all()
    page = admin.get(reverse("rule", args=[rule.id])).content.decode()
    assert "1 letter that another program has fetched counts as collected at the next poll" in page
    admin.post(reverse("rule_take_up", args=[rule.id]))
    assert not FetchedBefore.objects.exists()


@pytest.mark.parametrize("do", ["apply", "take_over"])
def test_it_applies_nothing_beside_a_list_that_it_cannot_read(do: str, admin: Client) -> None:
    page = post(admin, f"{LINE} keep", do, fetched=[fetchids(), fetchids(FETCHIDS + b"sidorov\n")])
    assert ".fetchids: line 3, column 1: this line is none of a list of fetchmail" in page
    assert not FetchRule.objects.exists()
    assert "Choose the other program" in post(admin, "", "take_over")


@pytest.mark.parametrize("do", ["apply", "take_over"])
def test_only_an_administrator_takes_over_what_another_program_has_fetched(do: str, editor: Client) -> None:
    data = {"text": f"{LINE} keep", "do": do, "version": version(), "fetched": fetchids()}
    assert editor.post(reverse("text"), data).status_code == 403
    assert not FetchRule.objects.exists()
    assert 'name="fetched"' not in editor.get(reverse("text")).content.decode()


def test_it_offers_a_line_for_each_rule(admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="one", recipient="one@mydomain.ru")
    make_rule(user="two", recipient="two@mydomain.ru")
    address = reverse("text") + "?mode=lines"
    page = admin.get(address).content.decode()
    assert "checked" in page.split('name="delete_missing"')[1].split(">")[0]
    assert page.count('name="line"') == 2
    lines = [line for line in load().splitlines() if line]
    fewer = admin.post(address, {"lines": "1", "line": lines, "remove": "0", "version": version()}).content.decode()
    assert fewer.count('name="line"') == 1
    more = admin.post(address, {"lines": "1", "line": lines, "do": "add", "version": version()}).content.decode()
    assert more.count('name="line"') == 3
    admin.post(address, {"lines": "1", "line": [*lines, LINE], "do": "apply", "version": version()})
    assert FetchRule.objects.count() == 3


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("text", "# the office\nmailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep\n"),
        ("utm-blanks", "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep\n"),
        ("utm-bars", "mailserver.ru:pop3|petrov|********|i.petrov@mydomain.ru|keep\n"),
        ("nonsense", "# the office\nmailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep\n"),
    ],
)
def test_it_hands_out_the_rules_masked(asked: str, expected: str, admin: Client) -> None:
    post(admin, f"# the office\n{LINE} keep\n")
    response = admin.get(reverse("text_download"), {"format": asked})
    assert response.content.decode() == expected
    assert "attachment" in response["Content-Disposition"]


def test_it_hands_out_json(admin: Client) -> None:
    post(admin, f"{LINE}\n")
    rules = json.loads(admin.get(reverse("text_download"), {"format": "json"}).content)["rules"]
    assert [rule["user"] for rule in rules] == ["petrov"]


def test_it_hands_out_passwords_to_those_who_prove_who_they_are(admin: Client) -> None:
    post(admin, f"{LINE}\n")
    wrong = admin.post(reverse("text_passwords"), {"format": "text", "password": "guess"}).content.decode()
    assert "petrovpasswd" not in wrong
    assert "This is not your password." in wrong
    right = admin.post(reverse("text_passwords"), {"format": "text", "password": PASSWORD}).content.decode()
    assert right == f"{LINE}\n"
    assert AuditEntry.objects.filter(what="passwords_exported").count() == 1


def test_it_goes_back_to_an_earlier_text(admin: Client) -> None:
    post(admin, f"{LINE}\n")
    first = Revision.objects.latest("id")
    post(admin, "mailserver.ru:pop3 petrov other i.petrov@mydomain.ru keep\n")
    shown = admin.get(reverse("revision", args=[first.id])).content.decode()
    assert "keep" in shown
    assert "petrovpasswd" not in shown
    admin.post(reverse("revision_undo", args=[first.id]), {"version": version()})
    rule = FetchRule.objects.get()
    assert (rule.keep, password_of(rule)) == (False, "petrovpasswd")
    assert AuditEntry.objects.filter(what="text_undone").exists()


def test_it_goes_nowhere_back_when_the_rules_changed_meanwhile(admin: Client) -> None:
    post(admin, f"{LINE}\n")
    first = Revision.objects.latest("id")
    page = admin.post(
        reverse("revision_undo", args=[first.id]), {"version": version() - 1}, follow=True
    ).content.decode()
    assert "the rules were changed meanwhile" in page


def test_it_counts_what_lies_on_the_servers_of_new_rules_as_collected_when_told(
    admin: Client, make_rule: MakeRule
) -> None:
    make_rule(user="old", recipient="old@mydomain.ru", keep=True)
    text = f"mailserver.ru:pop3 old ******** old@mydomain.ru flush keep\n{LINE} keep\n"
    assert 'name="present"' in post(admin, text, "check")
    post(admin, text, present="none")
    assert dict(FetchRule.objects.values_list("user", "source__pass_present")) == {"old": False, "petrov": True}


def test_it_collects_from_the_servers_of_new_rules_since_a_day(admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="old", recipient="old@mydomain.ru", keep=True)
    text = f"mailserver.ru:pop3 old ******** old@mydomain.ru flush keep\n{LINE}\n"
    post(admin, text, present="since", since="2026-01-01")
    days = dict(FetchRule.objects.values_list("user", "source__since"))
    assert days == {"old": None, "petrov": date(2026, 1, 1)}


@pytest.mark.parametrize(
    ("day", "code"),
    [("", Code.SINCE_INVALID), ("yesterday", Code.SINCE_INVALID), ("2999-01-01", Code.SINCE_FUTURE)],
)
@pytest.mark.parametrize("do", ["apply", "check"])
def test_it_refuses_to_collect_since_no_day_or_one_to_come(do: str, day: str, code: Code, admin: Client) -> None:
    page = post(admin, LINE, do, present="since", since=day)
    assert explain(Problem(code)) in page
    assert "checked" in page.split('id="text-since"')[1].split(">")[0]
    assert not FetchRule.objects.exists()


def test_it_refuses_to_count_as_collected_what_new_rules_delete(admin: Client) -> None:
    text = f"{LINE}\nmailserver.ru:pop3 sidorov p sidorov@mydomain.ru keep\n"
    page = post(admin, text, "check")
    assert "Counting it as collected is possible for 1 of 2 new rules" in page
    assert "the rule does not leave letters there" in page
    refused = post(admin, text, present="none")
    assert 'data-line="1"' in refused
    assert "checked" in refused.split('value="none"')[1].split(">")[0]
    assert not FetchRule.objects.exists()


OLD = f"{LINE} keep\n"
NEW = OLD.replace("mailserver.ru", "new.ru")


def told(page: str) -> str:
    """What the page says that it has said."""
    return page.split('name="told"')[1].split('value="')[1].split('"')[0]


def test_it_says_what_another_address_means_before_it_applies(admin: Client) -> None:
    post(admin, OLD)
    page = post(admin, NEW)
    assert "letters collected as petrov@mailserver.ru, POP3 are recognised" in page
    assert FetchRule.objects.get().server == "mailserver.ru"
    post(admin, NEW, told=told(page))
    assert FetchRule.objects.get().source.continues == SourceMailbox.objects.get(host="mailserver.ru")
    assert "go on with a former ledger: 1" in admin.get(reverse("audit")).content.decode()


def test_it_collects_everything_where_it_is_told_that_the_mailbox_is_another(admin: Client) -> None:
    post(admin, OLD)
    page = post(admin, NEW, "check", other_mailbox="on")
    assert "another mailbox: everything that lies there is collected" in page
    post(admin, NEW, told=told(page), other_mailbox="on")
    assert FetchRule.objects.get().source.continues is None


def test_it_offers_new_rules_the_ledger_without_a_rule(admin: Client, make_rule: MakeRule) -> None:
    gone = make_rule(server="old.ru", user="petrov", keep=True)
    known = {"recipient": gone.recipient, "state": "delivered", "size": 1, "first_seen_at": timezone.now()}
    Letter.objects.create(source=gone.source, epoch=0, uid="a", **known)
    gone.delete()
    page = post(admin, OLD)
    assert "perhaps the same mailbox as petrov@old.ru, POP3: 1 letter" in page
    assert "checked" not in page.split('name="same_mailbox"')[1].split(">")[0]
    assert not FetchRule.objects.exists()
    post(admin, OLD, told=told(page), same_mailbox="on")
    assert FetchRule.objects.get().source.continues == gone.source
