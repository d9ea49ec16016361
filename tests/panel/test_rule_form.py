"""The form of a rule: what it takes, what it refuses, and that a password goes in and never comes out."""

from datetime import date
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger.source_mailboxes import TO_BE_PASSED
from fetchrules.models import AuditEntry, FetchRule, Letter, ServiceSettings, SourceMailbox
from fetchrules.rulebook.rows import password_of
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.words.ruletext import explain
from tests.conftest import MakeRule
from tests.servers.imap import Folder, ImapServer
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import Behaviour, Mailbox, Pop3Server

PLAIN = {
    "server": "mailserver.ru",
    "protocol": "pop3",
    "encryption": "ssl",
    "sslcertck": "on",
    "user": "petrov",
    "password": "petrovpasswd",
    "recipient": "i.petrov@mydomain.ru",
    "treatment": "take",
    "limit_unit": "m",
    "enabled": "on",
}


def filled(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**PLAIN, **changes}.items() if value is not None}


def revision(rule: FetchRule) -> int:
    """What the form of the rule says that it was made from, if it is opened now."""
    return FetchRule.objects.values_list("revision", flat=True).get(id=rule.id)


def test_it_saves_a_new_rule_to_be_polled_at_once(admin: Client) -> None:
    response = admin.post(reverse("rule_new"), filled())
    rule = FetchRule.objects.get()
    assert response["Location"] == f"/#rule-{rule.id}"
    assert (rule.line, password_of(rule)) == (
        "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru ssl",
        "petrovpasswd",
    )
    assert rule.next_poll_at is not None
    assert AuditEntry.objects.get().what == "rule_added"


@pytest.mark.parametrize(
    ("treatment", "columns"),
    [
        ({"treatment": "take"}, (False, False, False, None)),
        ({"treatment": "leave"}, (True, False, False, None)),
        ({"treatment": "until_next"}, (True, True, False, None)),
        ({"treatment": "empty"}, (False, False, True, None)),
        ({"treatment": "days", "keepdays": "14"}, (False, False, False, 14)),
        ({"treatment": "own", "keep": "on", "fetchall": "on"}, (True, False, True, None)),
        ({"treatment": "take", "keep": "on", "keepdays": "14"}, (False, False, False, None)),
    ],
)
def test_it_knows_the_usual_treatments(treatment: dict[str, str], columns: tuple[object, ...], admin: Client) -> None:
    admin.post(reverse("rule_new"), filled(**treatment))
    assert FetchRule.objects.values_list("keep", "flush", "fetchall", "keepdays").get() == columns


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"server": ""}, "This field is required"),
        ({"server": "no such host"}, "expected a host name"),
        ({"recipient": "nobody"}, "expected a local mailbox"),
        ({"user": None}, "This field is required"),
        ({"password": None}, "Enter the password."),
        ({"treatment": "days"}, "Say for how many days."),
        ({"port": "70000"}, "less than or equal to 65535"),
        ({"folders": "Orders"}, "has no option"),
        ({"sslfingerprint": "abc"}, "SHA-256"),
        ({"user": "petrov\nDELE 1"}, "line breaks and null characters"),
    ],
)
def test_it_says_what_is_wrong_at_its_field(changes: dict[str, Any], complaint: str, admin: Client) -> None:
    page = admin.post(reverse("rule_new"), filled(**changes)).content.decode()
    assert complaint in page
    assert 'role="alert"' in page
    assert not FetchRule.objects.exists()


def test_it_binds_errors_to_their_inputs(admin: Client) -> None:
    page = admin.post(reverse("rule_new"), filled(recipient="nobody")).content.decode()
    assert 'aria-invalid="true"' in page
    assert 'id="id_recipient_error"' in page
    assert "id_recipient_error" in page.split('name="recipient"')[1].split(">")[0]


def test_it_never_shows_a_password(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(password="secret-of-petrov")
    shown = admin.get(reverse("rule", args=[rule.id])).content.decode()
    refused = admin.post(
        reverse("rule", args=[rule.id]), filled(seen=revision(rule), password="typed-and-wrong", recipient="nobody")
    )
    assert "secret-of-petrov" not in shown
    assert "typed-and-wrong" not in refused.content.decode()


def test_it_says_at_once_all_that_is_missing(admin: Client) -> None:
    page = admin.post(reverse("rule_new"), filled(server="", user=None, password=None, recipient="")).content.decode()
    assert page.count('aria-invalid="true"') == 4
    assert "Enter the password." in page


def test_it_refuses_a_protocol_that_there_is_not(admin: Client) -> None:
    page = admin.post(reverse("rule_new"), filled(provider="yandex", server="", protocol="pop9")).content.decode()
    assert "pop9 is not one of the available choices" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "New: not collected here yet, however long"),
        ({"protocol": "imap"}, "New: not collected here yet and unread"),
        ({"protocol": "imap", "uidl": "on"}, "New: not collected here yet, however long"),
    ],
)
def test_it_says_which_letters_are_new(changes: dict[str, str], words: str, admin: Client) -> None:
    assert words in admin.post(reverse("rule_preview"), filled(**changes)).content.decode()


def test_it_keeps_the_marks_of_letters_where_the_rule_says_so(admin: Client) -> None:
    admin.post(reverse("rule_new"), filled(protocol="imap", flags="on"))
    rule = FetchRule.objects.get()
    assert (rule.flags, rule.line.split()[-1]) == (True, "flags")


def test_it_refuses_to_keep_marks_that_pop3_has_not(admin: Client) -> None:
    page = admin.post(reverse("rule_new"), filled(flags="on")).content.decode()
    assert "POP3 has no option “flags”" in page
    assert not FetchRule.objects.exists()


def test_it_warns_that_a_mail_server_takes_no_marks(admin: Client, settings: Settings) -> None:
    said = filled(protocol="imap", flags="on")
    assert "takes no marks" not in admin.post(reverse("rule_preview"), said).content.decode()
    settings.UTM_MAIL_DELIVERY = "lmtp:/run/dovecot/lmtp"
    assert "takes no marks" in admin.post(reverse("rule_preview"), said).content.decode()


def test_it_keeps_the_stored_password(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", password="stored", encryption="ssl")
    admin.post(
        reverse("rule", args=[rule.id]), filled(seen=revision(rule), password=None, recipient="other@mydomain.ru")
    )
    rule.refresh_from_db()
    assert (rule.recipient, password_of(rule)) == ("other@mydomain.ru", "stored")


def test_it_notes_for_the_audit_what_was_changed_and_no_password(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    changed = filled(seen=rule.revision, password="anotherpasswd", recipient="other@mydomain.ru", treatment="leave")
    admin.post(reverse("rule", args=[rule.id]), changed)
    entry = AuditEntry.objects.get()
    assert entry.what == "rule_changed"
    assert "anotherpasswd" not in str(entry.detail)
    page = unescape(admin.get(reverse("audit")).content.decode())
    assert "local mailbox: i.petrov@mydomain.ru → other@mydomain.ru; keep: no → yes; new password" in page


@pytest.mark.parametrize(
    "changes",
    [
        {"server": "evil.example"},
        {"user": "other"},
        {"port": "9995"},
        {"protocol": "imap"},
        {"encryption": "plaintext"},
        {"sslcertck": None},
    ],
)
def test_it_asks_for_the_password_again_when_it_would_go_elsewhere(
    changes: dict[str, Any], admin: Client, make_rule: MakeRule
) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    page = admin.post(
        reverse("rule", args=[rule.id]), filled(seen=revision(rule), password=None, **changes)
    ).content.decode()
    assert "enter the password again" in page
    rule.refresh_from_db()
    assert rule.revision == 1


def test_it_asks_for_the_password_again_when_it_could_be_read_on_the_way(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="auto", auth="scram-sha-256")
    said = filled(seen=revision(rule), password=None, encryption="auto", auth="password")
    assert "enter the password again" in admin.post(reverse("rule", args=[rule.id]), said).content.decode()
    admin.post(reverse("rule", args=[rule.id]), said | {"encryption": "ssl"})
    assert FetchRule.objects.values_list("auth", "encryption").get() == ("password", "ssl")


def test_it_opens_the_rest_of_the_form_for_a_way_to_log_in(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov")
    closed = admin.get(reverse("rule", args=[rule.id])).content.decode()
    assert '<details class="advanced">' in closed
    FetchRule.objects.update(auth="cram-md5")
    opened = admin.get(reverse("rule", args=[rule.id])).content.decode()
    assert '<details class="advanced" open>' in opened
    assert '<option value="cram-md5" selected>CRAM-MD5</option>' in opened


def test_it_changes_only_what_was_changed_in_the_line(admin: Client, make_rule: MakeRule) -> None:
    line = "mailserver.ru:pop3   petrov ********\ti.petrov@mydomain.ru  SSL  # the old office"
    rule = make_rule(user="petrov", encryption="ssl", line=line)
    admin.post(reverse("rule", args=[rule.id]), filled(seen=revision(rule), password=None, treatment="leave"))
    rule.refresh_from_db()
    assert rule.line == "mailserver.ru:pop3   petrov ********\ti.petrov@mydomain.ru  SSL keep  # the old office"


def test_it_fills_in_a_known_mail_service_without_javascript(admin: Client) -> None:
    admin.post(reverse("rule_new"), filled(provider="yandex", server="", encryption="plaintext"))
    assert FetchRule.objects.values_list("server", "encryption").get() == ("pop.yandex.ru", "ssl")


def test_it_refuses_a_second_rule_that_empties_the_same_mailbox(admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="petrov")
    page = admin.post(reverse("rule_new"), filled()).content.decode()
    assert "Another rule collects from this mailbox" in page


def test_it_lets_an_owner_deliver_into_his_own_mailbox_only(owner: Client) -> None:
    owner.post(reverse("rule_new"), filled(recipient="director@mydomain.ru"))
    assert FetchRule.objects.values_list("recipient", "owner__username").get() == ("charlie@mydomain.ru", "charlie")


def test_it_leaves_rules_of_administrators_without_an_owner(admin: Client) -> None:
    admin.post(reverse("rule_new"), filled())
    assert FetchRule.objects.get().owner is None


def test_it_copies_everything_but_the_account(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", password="stored", keep=True, interval=30)
    page = admin.get(reverse("rule_new"), {"copy": rule.id}).content.decode()
    assert 'value="30"' in page
    assert 'value="petrov"' not in page


def test_it_previews_what_is_being_typed_and_saves_nothing(admin: Client) -> None:
    data = filled(treatment="own", keep="on", fetchall="on", password=None)
    page = admin.post(reverse("rule_preview"), data).content.decode()
    assert "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep fetchall ssl" in page
    assert "duplicates without end" in page
    assert "fetched again" in page
    assert not FetchRule.objects.exists()


def test_it_previews_an_empty_form(admin: Client) -> None:
    assert "…:pop3 … ******** …" in admin.post(reverse("rule_preview"), {}).content.decode()


def test_it_tests_a_connection_and_says_where_it_failed(admin: Client) -> None:
    page = admin.post(reverse("rule_new"), filled(server="127.0.0.1", port="1", test="1")).content.decode()
    assert "Connection test" in page
    assert "Cannot connect" in page
    assert not FetchRule.objects.exists()


def test_it_tests_a_saved_rule_without_changing_it(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(server="127.0.0.1", port=1, user="petrov", encryption="ssl")
    data = filled(server="127.0.0.1", port="1", password=None, treatment="leave", test="1", fragment="1")
    assert "Cannot connect" in admin.post(reverse("rule", args=[rule.id]), data).content.decode()
    assert FetchRule.objects.filter(id=rule.id, revision=1, keep=False, last_polled_at=None).exists()


def test_it_delivers_into_local_domains_only(admin: Client) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(local_domains="mydomain.ru\nother.ru")
    page = admin.post(reverse("rule_new"), filled(recipient="i.petrov@elsewhere.ru")).content.decode()
    assert "not one of the local domains" in page
    admin.post(reverse("rule_new"), filled(recipient="i.petrov@OTHER.ru"))
    assert FetchRule.objects.count() == 1


def test_it_offers_the_folders_that_a_test_of_the_connection_found(admin: Client) -> None:
    folders = {"INBOX": Folder([b"Subject: 1\r\n\r\n"]), "&BBcEMAQ6BDAENwRL-": Folder()}
    with ImapServer(folders) as server:
        data = filled(server="127.0.0.1", port=str(server.port), protocol="imap", encryption="plaintext", test="1")
        page = admin.post(reverse("rule_new"), data).content.decode()
    assert 'data-folder="Заказы"' in page
    assert ">Заказы</span>" in page
    assert "[Gmail]" not in page


def test_it_speaks_of_no_folders_with_pop3(admin: Client) -> None:
    with Pop3Server({"petrov": Mailbox("petrovpasswd", Maildrop())}) as server:
        data = filled(server="127.0.0.1", port=str(server.port), encryption="plaintext", test="1")
        page = admin.post(reverse("rule_new"), data).content.decode()
    assert "Remote mailbox" in page
    assert "data-folder" not in page


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ("any", "CRAM-MD5 · without encryption<"),
        ("cram-md5", "CRAM-MD5 · without encryption<"),
        ("password", "login and password · without encryption: the password can be read on the way<"),
    ],
)
def test_it_says_by_which_way_it_logged_in(auth: str, said: str, admin: Client) -> None:
    announced = Behaviour(capabilities=("UIDL", "USER", "SASL CRAM-MD5"), logins=frozenset({"password", "CRAM-MD5"}))
    with Pop3Server({"petrov": Mailbox("petrovpasswd", Maildrop())}, announced) as server:
        data = filled(server="127.0.0.1", port=str(server.port), encryption="plaintext", auth=auth, test="1")
        page = admin.post(reverse("rule_new"), data).content.decode()
    assert said in page


def test_it_counts_what_lies_on_the_server_as_collected_when_told(admin: Client) -> None:
    folders = {"protocol": "imap", "folders": "INBOX\nOrders", "uidl": "on"}
    admin.post(reverse("rule_new"), filled(**folders, treatment="leave", present="none"))
    assert set(SourceMailbox.objects.values_list("folder", "pass_present")) == {("INBOX", True), ("Orders", True)}
    page = admin.get(reverse("rule", args=[FetchRule.objects.get().id])).content.decode()
    assert "what lies on the server counts as collected" in page


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"treatment": "take"}, Code.PRESENT_DELETED),
        ({"treatment": "leave", "protocol": "imap"}, Code.PRESENT_BY_MARKS),
    ],
)
def test_it_refuses_to_count_as_collected_what_nothing_would_remember(
    changes: dict[str, str], code: Code, admin: Client
) -> None:
    page = admin.post(reverse("rule_new"), filled(**changes, present="none")).content.decode()
    at_field = page.split('id="id_present_error"')[1]
    assert explain(Problem(code)).capitalize()[:40] in unescape(at_field)
    assert not FetchRule.objects.exists()
    typed = admin.post(reverse("rule_preview"), filled(**changes, present="none")).content.decode()
    assert "What lies on the server cannot count as collected" in typed


@pytest.mark.parametrize("treatment", ["take", "leave"])
def test_it_collects_since_a_day_when_told(treatment: str, admin: Client) -> None:
    folders = {"protocol": "imap", "folders": "INBOX\nOrders"}
    admin.post(reverse("rule_new"), filled(**folders, treatment=treatment, present="since", since="2026-01-01"))
    day = date(2026, 1, 1)
    assert set(SourceMailbox.objects.values_list("folder", "since")) == {("INBOX", day), ("Orders", day)}
    rule = FetchRule.objects.get()
    address = reverse("rule", args=[rule.id])
    page = admin.get(address).content.decode()
    assert "what arrived before" in page
    assert "checked" in page.split('value="since"')[1].split(">")[0]
    assert 'value="2026-01-01"' in page
    admin.post(
        address, filled(**folders, seen=revision(rule), treatment=treatment, present="since", since="02.01.2026")
    )
    assert set(SourceMailbox.objects.values_list("since", flat=True)) == {date(2026, 1, 2)}
    admin.post(address, filled(**folders, seen=revision(rule), treatment=treatment, present="all", since="02.01.2026"))
    assert set(SourceMailbox.objects.values_list("since", flat=True)) == {None}


@pytest.mark.parametrize("chosen", [{"present": "none"}, {"present": "since", "since": "2026-01-01"}], ids=str)
def test_a_form_that_was_opened_before_the_first_poll_does_not_say_again_what_that_poll_has_done(
    chosen: dict[str, str], admin: Client
) -> None:
    admin.post(reverse("rule_new"), filled(**chosen, treatment="leave"))
    rule = FetchRule.objects.get()
    address = reverse("rule", args=[rule.id])
    was = admin.get(address).content.decode().split('name="met" value="')[1].split('"')[0]
    SourceMailbox.objects.update(pass_present=False, since=None)
    admin.post(address, filled(**chosen, treatment="leave", met=was, seen=revision(rule), timeout="30"))
    assert FetchRule.objects.get().timeout == 30
    assert not SourceMailbox.objects.filter(TO_BE_PASSED).exists()
    admin.post(address, filled(treatment="leave", present="none", met="all", seen=revision(rule)))
    assert SourceMailbox.objects.get().pass_present


@pytest.mark.parametrize("change", [{"user": "ivanov"}, {"recipient": "a@mydomain.ru"}, {"timeout": "30"}], ids=str)
def test_what_a_form_says_again_holds_for_a_mailbox_that_is_new_to_the_rule(
    change: dict[str, str], admin: Client
) -> None:
    admin.post(reverse("rule_new"), filled(present="since", since="2026-01-01"))
    rule = FetchRule.objects.get()
    again = filled(**{"present": "since", "since": "2026-01-01", "met": "since 2026-01-01", **change})
    admin.post(reverse("rule", args=[rule.id]), again | {"seen": revision(rule)})
    assert FetchRule.objects.get().source.since == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("day", "code"),
    [("", Code.SINCE_INVALID), ("31.02.2026", Code.SINCE_INVALID), ("2999-01-01", Code.SINCE_FUTURE)],
)
def test_it_refuses_to_collect_since_no_day_or_one_to_come(day: str, code: Code, admin: Client) -> None:
    page = admin.post(reverse("rule_new"), filled(present="since", since=day)).content.decode()
    at_field = page.split('id="id_since_error"')[1]
    assert explain(Problem(code))[1:] in unescape(at_field)
    assert not FetchRule.objects.exists()


def test_it_takes_back_what_was_to_count_as_collected(admin: Client) -> None:
    admin.post(reverse("rule_new"), filled(treatment="leave", present="none"))
    rule = FetchRule.objects.get()
    address = reverse("rule", args=[rule.id])
    assert "checked" in admin.get(address).content.decode().split('value="none"')[1].split(">")[0]
    refused = admin.post(address, filled(seen=revision(rule), treatment="take", present="none")).content.decode()
    assert 'id="id_present_error"' in refused
    admin.post(address, filled(seen=revision(rule), treatment="leave", present="none"))
    assert SourceMailbox.objects.get().pass_present
    admin.post(address, filled(seen=revision(rule), treatment="take"))
    assert not SourceMailbox.objects.get().pass_present


def test_it_asks_whether_a_mailbox_with_another_address_is_another(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(server="old.ru", user="petrov", encryption="ssl", keep=True)
    address = reverse("rule", args=[rule.id])
    assert 'name="other_mailbox"' in admin.get(address).content.decode()
    typed = admin.post(f"{reverse('rule_preview')}?rule={rule.id}", filled(password=None)).content.decode()
    assert "letters collected as petrov@old.ru, POP3 are recognised" in typed
    same = admin.post(f"{reverse('rule_preview')}?rule={rule.id}", filled(password=None, server="old.ru"))
    assert "are recognised" not in same.content.decode().split('class="scriptless"')[0]


@pytest.mark.parametrize("other", [False, True])
def test_it_goes_on_with_the_ledger_unless_it_is_told_otherwise(
    other: bool, admin: Client, make_rule: MakeRule
) -> None:
    rule = make_rule(server="old.ru", user="petrov", encryption="ssl", keep=True)
    tick = {"other_mailbox": "on"} if other else {}
    admin.post(reverse("rule", args=[rule.id]), filled(seen=revision(rule), treatment="leave", **tick))
    assert (SourceMailbox.objects.get(host="mailserver.ru").continues is None) == other
    words = "does not go on with the ledger of" if other else "goes on with the ledger of"
    assert f"{words}: petrov@old.ru, POP3" in admin.get(reverse("audit")).content.decode()
    if not other:
        page = admin.get(reverse("rule", args=[rule.id])).content.decode()
        assert "Letters collected as petrov@old.ru, POP3 are recognised." in page


def test_it_offers_a_new_rule_the_ledger_without_a_rule(admin: Client, make_rule: MakeRule) -> None:
    gone = make_rule(server="old.ru", user="petrov", keep=True)
    make_letter(gone, "a", "delivered")
    gone.delete()
    typed = admin.post(reverse("rule_preview"), filled(password=None)).content.decode()
    assert "petrov@old.ru, POP3: 1 letter</option>" in typed
    asked = admin.post(reverse("rule_new"), filled(treatment="leave")).content.decode()
    assert "Choose whether it is the same, and save." in asked
    assert not FetchRule.objects.exists()
    admin.post(reverse("rule_new"), filled(treatment="leave", same_mailbox=str(gone.source_id)))
    assert FetchRule.objects.get().source.continues == gone.source
    assert "goes on with the ledger of: petrov@old.ru, POP3" in admin.get(reverse("audit")).content.decode()


def test_it_saves_a_new_rule_with_a_ledger_of_its_own(admin: Client, make_rule: MakeRule) -> None:
    gone = make_rule(server="old.ru", user="petrov", keep=True)
    make_letter(gone, "a", "delivered")
    gone.delete()
    admin.post(reverse("rule_new"), filled(treatment="leave", same_mailbox=""))
    assert FetchRule.objects.get().source.continues is None


def test_it_tests_a_connection_without_asking_for_a_choice(admin: Client, make_rule: MakeRule) -> None:
    gone = make_rule(server="old.ru", user="petrov", keep=True)
    make_letter(gone, "a", "delivered")
    gone.delete()
    data = filled(server="127.0.0.1", port="1", treatment="leave", test="1")
    assert "Cannot connect" in admin.post(reverse("rule_new"), data).content.decode()


def test_it_shows_an_owner_no_ledger_but_his_own(owner: Client, make_rule: MakeRule) -> None:
    his, others = (
        make_rule(server=f"{name[:4]}.ru", recipient=f"{name}@mydomain.ru", keep=True)
        for name in ("charlie", "director")
    )
    for gone in (his, others):
        make_letter(gone, "a", "delivered")
        gone.delete()
    page = owner.get(reverse("rule_new")).content.decode()
    assert ("char.ru" in page, "dire.ru" in page) == (True, False)
    data = filled(treatment="leave", recipient="director@mydomain.ru", same_mailbox=str(others.source_id))
    refused = owner.post(reverse("rule_new"), data).content.decode()
    assert "This mailbox cannot be chosen any more" in refused
    assert "dire.ru" not in refused
    assert not FetchRule.objects.exists()


def test_it_asks_nobody_of_the_rule_of_another(owner: Client, make_rule: MakeRule) -> None:
    rule = make_rule(server="secret.ru", keep=True)
    typed = owner.post(f"{reverse('rule_preview')}?rule={rule.id}", filled(password=None)).content.decode()
    assert "secret.ru" not in typed


def test_it_says_in_a_dry_run_that_letters_will_be_recognised(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(server="old.ru", user="petrov", keep=True)
    with Pop3Server({"petrov": Mailbox("petrovpasswd", Maildrop([b"Subject: 1\r\n\r\n"]))}) as server:
        data = filled(server="127.0.0.1", port=str(server.port), encryption="plaintext", treatment="leave", test="1")
        page = admin.post(reverse("rule", args=[rule.id]), data).content.decode()
    assert "what was collected under the former address is recognised" in page


def test_it_fetches_letters_that_were_passed_over_after_all(admin: Client, rule: FetchRule) -> None:
    for uid, state in (("a", "passed"), ("b", "passed"), ("c", "delivered")):
        make_letter(rule, uid, state)
    page = admin.get(reverse("rule", args=[rule.id])).content.decode()
    assert "2 letters were passed over and stay on the server" in page
    admin.post(reverse("rule_take_up", args=[rule.id]))
    assert dict(Letter.objects.values_list("uid", "state")) == {"a": "held", "b": "held", "c": "delivered"}
    assert AuditEntry.objects.get().what == "letters_taken_up"


def test_it_takes_up_what_arrived_before_a_day(admin: Client, rule: FetchRule) -> None:
    SourceMailbox.objects.update(since=date(2026, 1, 1))
    assert reverse("rule_take_up", args=[rule.id]) in admin.get(reverse("rule", args=[rule.id])).content.decode()
    admin.post(reverse("rule_take_up", args=[rule.id]))
    assert SourceMailbox.objects.get().since is None


def test_it_lets_nobody_take_up_the_letters_of_others(owner: Client, operator: Client, rule: FetchRule) -> None:
    make_letter(rule, "a", "passed")
    for stranger in (owner, operator):
        assert stranger.post(reverse("rule_take_up", args=[rule.id])).status_code in (403, 404)
    assert Letter.objects.exists()


def make_letter(rule: FetchRule, uid: str, state: str) -> None:
    Letter.objects.create(
        source=rule.source,
        epoch=0,
        uid=uid,
        recipient=rule.recipient,
        state=state,
        size=100,
        first_seen_at=timezone.now(),
    )
