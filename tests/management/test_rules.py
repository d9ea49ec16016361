"""`manage.py rules`, as scripts see it: what is printed where, and the exit status."""

import io
import json
import os
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from fetchrules.models import AuditEntry, FetchedBefore, FetchRule, Letter, Revision, SourceMailbox
from fetchrules.rule import Protocol
from fetchrules.rulebook.text import load
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import Source
from fetchrules.words import names
from fetchrules.words.ruletext import explain
from tests.rulebook.conftest import TEXT

pytestmark = pytest.mark.django_db


class Said(io.StringIO):
    """What was printed, by lines or as JSON."""

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.getvalue())


@pytest.fixture
def out() -> Said:
    return Said()


@pytest.fixture
def err() -> Said:
    return Said()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.txt"
    path.write_bytes(TEXT.encode())
    return path


def broken(file: Path) -> Path:
    file.write_bytes(TEXT.replace("keep ssl", "kep ssl").replace("limit 5m", "limit lots").encode())
    return file


def test_it_imports_and_exports_the_same_octets(file: Path, tmp_path: Path) -> None:
    call_command("rules", "import", str(file), stdout=io.StringIO())
    call_command("rules", "export", "--with-passwords", "-o", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == file.read_bytes()


def test_it_writes_files_for_their_owner_only(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    target.chmod(0o644)
    call_command("rules", "export", "-o", str(target))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"out", "rules.txt"}


def test_it_says_what_it_imported(file: Path, out: Said, err: Said) -> None:
    call_command("rules", "import", str(file), stdout=out, stderr=err)
    assert out.lines == [
        "+ mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep ssl   # the boss",
        "+ mailserver.ru:pop3|ivanov|********|i.ivanov@mydomain.ru|limit 5m",
        "+ [2001:db8::1]:imaps 'sales team' \"********\" sales@mydomain.ru folder 'Sent Items'",
        "добавлено 3, изменено 0, удалено 0, без изменений 0",
    ]
    assert err.lines == []
    assert Revision.objects.first().note == "rules.txt"  # type: ignore[union-attr]  # there is one


def test_it_says_what_it_imported_as_json(file: Path, out: Said) -> None:
    call_command("rules", "import", str(file), stdout=Said())
    file.write_bytes(TEXT.replace("keep ssl", "nokeep ssl").replace("# Sales\n", "#").encode())
    call_command("rules", "import", str(file), "--json", stdout=out)
    assert out.json == {
        "format": "text",
        "applied": True,
        "added": 0,
        "changed": 1,
        "removed": 0,
        "unchanged": 1,
        "rules": [
            {
                "verdict": "changed",
                "line": 2,
                "text": "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru nokeep ssl   # the boss",
                "changes": [{"field": "keep", "old": True, "new": False}],
                "continues": None,
                "offered": None,
            }
        ],
        "missing": [
            {
                "rule": FetchRule.objects.get(user="sales team").id,
                "server": "2001:db8::1",
                "protocol": "imap",
                "user": "sales team",
                "password": "********",
                "recipient": "sales@mydomain.ru",
                "encryption": "ssl",
                "folders": ["Sent Items"],
                "text": '[2001:db8::1]:imap "sales team" ******** sales@mydomain.ru ssl folder "Sent Items"',
            }
        ],
        "fetched": [],
        "problems": [
            {
                "line": 5,
                "column": 1,
                "length": 79,
                "severity": "warning",
                "code": "password_in_comment",
                "field": "",
                "suggestion": "",
                "message": explain(Problem(Code.PASSWORD_IN_COMMENT)),
            }
        ],
    }


def test_it_changes_nothing_in_a_dry_run(file: Path, out: Said) -> None:
    call_command("rules", "import", str(file), "--dry-run", stdout=out)
    assert (FetchRule.objects.count(), len(out.lines)) == (0, 5)


def test_it_deletes_what_is_missing_only_when_asked(file: Path, out: Said) -> None:
    call_command("rules", "import", str(file), stdout=Said())
    file.write_text("")
    call_command("rules", "import", str(file), stdout=Said())
    assert FetchRule.objects.count() == 3
    call_command("rules", "import", str(file), "--delete-missing", stdout=out)
    assert FetchRule.objects.count() == 0
    assert [line[0] for line in out.lines[:3]] == ["-"] * 3


@pytest.mark.parametrize("verb", ["import", "check"])
def test_it_says_all_errors_with_their_places_and_exits_with_2(file: Path, err: Said, verb: str) -> None:
    with pytest.raises(SystemExit) as left:
        call_command("rules", verb, str(broken(file)), stdout=Said(), stderr=err)
    assert left.value.code == 2
    assert [line.split(" ")[0] for line in err.lines] == ["2:61:", "4:61:"]
    assert "kep" in err.lines[0]
    assert FetchRule.objects.count() == 0


def test_it_checks_a_file_without_touching_the_rules(file: Path, out: Said) -> None:
    call_command("rules", "check", str(file), "--json", stdout=out)
    assert out.json == {"format": "text", "rules": 3, "problems": []}
    assert FetchRule.objects.count() == 0


def test_it_warns_and_goes_on(file: Path, err: Said) -> None:
    file.write_text("a.ru:pop3 u p r@mydomain.ru keep fetchall\n")
    call_command("rules", "import", str(file), stdout=Said(), stderr=err)
    assert err.lines[0].startswith("1:34: ")
    assert FetchRule.objects.count() == 1


def test_it_reads_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    call_command("rules", "import", "-", stdout=Said())
    assert load(with_passwords=True) == TEXT


def test_it_imports_a_fetchmailrc(tmp_path: Path, out: Said, err: Said) -> None:
    path = tmp_path / ".fetchmailrc"
    path.write_text('poll a.ru proto pop3 user u pass p is ivan here mda "procmail"\npoll b.ru proto etrn user u\n')
    call_command("rules", "import", str(path), "--domain", "mydomain.ru", stdout=out, stderr=err)
    assert FetchRule.objects.get().recipient == "ivan@mydomain.ru"
    assert [line.split(" ")[0] for line in err.lines] == ["1:49:", "2:22:"]


def test_it_says_where_in_a_foreign_file_a_password_is_missing(tmp_path: Path, err: Said) -> None:
    path = tmp_path / "fetchmailrc"
    path.write_text("\n\npoll a.ru proto pop3\n user u is u@mydomain.ru\n")
    with pytest.raises(SystemExit) as left:
        call_command("rules", "import", str(path), stdout=Said(), stderr=err)
    assert left.value.code == 2
    assert err.lines[0].startswith("4:1: ")


@pytest.mark.parametrize("form", ["text", "utm-blanks", "utm-bars", "fetchmailrc", "json"])
def test_it_masks_passwords_unless_told_otherwise(file: Path, form: str) -> None:
    call_command("rules", "import", str(file), stdout=Said())
    masked, plain = Said(), Said()
    call_command("rules", "export", "--format", form, stdout=masked)
    call_command("rules", "export", "--format", form, "--with-passwords", stdout=plain)
    assert "petrovpasswd" not in masked.getvalue()
    assert "petrovpasswd" in plain.getvalue()
    assert AuditEntry.objects.filter(what="passwords_exported").count() == 1


@pytest.mark.parametrize("form", ["text", "utm-blanks", "utm-bars", "fetchmailrc", "json"])
def test_it_changes_no_row_with_an_export_of_its_own(file: Path, tmp_path: Path, form: str) -> None:
    call_command("rules", "import", str(file), stdout=Said())
    columns = ["server", "protocol", "user", "password", "keep", "limit", "folders", "revision", "next_poll_at"]
    before = list(FetchRule.objects.order_by("id").values(*columns))
    for options in ([], ["--with-passwords"]):
        target = tmp_path / "export"
        call_command("rules", "export", "--format", form, "-o", str(target), *options, stderr=Said())
        call_command("rules", "import", str(target), "--delete-missing", stdout=Said(), stderr=Said())
        assert list(FetchRule.objects.order_by("id").values(*columns)) == before


def test_it_exports_json_in_two_ways(file: Path, out: Said) -> None:
    call_command("rules", "import", str(file), stdout=Said())
    call_command("rules", "export", "--json", stdout=out)
    assert [rule["user"] for rule in out.json["rules"]] == ["petrov", "ivanov", "sales team"]


def test_it_says_what_fetchmail_cannot(tmp_path: Path, err: Said) -> None:
    path = tmp_path / "rules.txt"
    path.write_text("a.ru:pop3 u p r@mydomain.ru interval 5\n")
    call_command("rules", "import", str(path), stdout=Said())
    call_command("rules", "export", "--format", "fetchmailrc", stdout=Said(), stderr=err)
    assert len(err.lines) == 1
    assert "interval" in err.lines[0]


def test_it_lists_rules(file: Path, out: Said) -> None:
    call_command("rules", "import", str(file), stdout=Said())
    call_command("rules", "list", stdout=out)
    ids = list(FetchRule.objects.order_by("position").values_list("id", flat=True))
    assert out.lines == [
        f"{ids[0]}\tpetrov@mailserver.ru\ti.petrov@mydomain.ru\tpop3 keep ssl",
        f"{ids[1]}\tivanov@mailserver.ru\ti.ivanov@mydomain.ru\tpop3 limit 5242880",
        f'{ids[2]}\tsales team@2001:db8::1\tsales@mydomain.ru\timap ssl folder "Sent Items"',
    ]


def test_it_lists_rules_as_json(file: Path, out: Said) -> None:
    call_command("rules", "import", str(file), stdout=Said())
    call_command("rules", "list", "--json", stdout=out)
    rows = [json.loads(line) for line in out.lines]
    assert [(row["user"], row["password"]) for row in rows] == [
        ("petrov", "********"),
        ("ivanov", "********"),
        ("sales team", "********"),
    ]


def test_it_exits_with_2_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("rules", "import", str(tmp_path / "nowhere"))
    assert refused.value.returncode == 2


def test_it_exits_with_1_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("rules", "export", "-o", str(tmp_path / "no" / "where"))
    assert refused.value.returncode == 1


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["import"], ["export", "--format", "xml"]])
def test_it_refuses_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("rules", *arguments)


def test_it_counts_what_lies_on_the_servers_as_collected_when_told(file: Path) -> None:
    file.write_text("a.ru:pop3 u p r@mydomain.ru keep\nb.ru:imap u p r@mydomain.ru keep uidl\n")
    call_command("rules", "import", str(file), "--pass-present", stdout=Said())
    assert set(FetchRule.objects.values_list("source__pass_present", flat=True)) == {True}


def test_it_collects_since_a_day_when_told(file: Path) -> None:
    call_command("rules", "import", str(file), "--since", "2026-01-01", stdout=Said())
    assert set(FetchRule.objects.values_list("source__since", flat=True)) == {date(2026, 1, 1)}


@pytest.mark.parametrize(
    ("day", "code"), [("", Code.SINCE_INVALID), ("soon", Code.SINCE_INVALID), ("2999-01-01", Code.SINCE_FUTURE)]
)
def test_it_refuses_to_collect_since_no_day_or_one_to_come(
    day: str, code: Code, file: Path, out: Said, err: Said
) -> None:
    with pytest.raises(SystemExit) as left:
        call_command("rules", "import", str(file), "--since", day, stdout=out, stderr=err)
    assert (left.value.code, err.lines) == (2, [explain(Problem(code))])
    assert not FetchRule.objects.exists()


def test_it_refuses_to_count_as_collected_what_a_rule_deletes(file: Path, out: Said, err: Said) -> None:
    with pytest.raises(SystemExit) as left:
        call_command("rules", "import", str(file), "--pass-present", stdout=out, stderr=err)
    assert left.value.code == 2
    reason = explain(Problem(Code.PRESENT_DELETED))
    assert err.lines == [f"4:20: {reason}", f"6:21: {reason}"]
    assert not FetchRule.objects.exists()


LISTS = "u@a.ru a\nu@A.ru b\nv@a.ru c\n"


@pytest.fixture
def fetchids(tmp_path: Path) -> Path:
    path = tmp_path / ".fetchids"
    path.write_text(LISTS)
    return path


def test_it_files_lists_of_other_programs_with_the_rules_of_the_same_file(
    file: Path, fetchids: Path, tmp_path: Path, out: Said, err: Said
) -> None:
    file.write_text("a.ru:pop3 u p r@mydomain.ru keep\n")
    uidls = tmp_path / "uidls"
    uidls.write_text(" 1 a.ru u\nz\n")
    lists = ["--seen", str(fetchids), "--seen", str(uidls)]
    call_command("rules", "import", str(file), *lists, "--dry-run", stdout=Said(), stderr=Said())
    assert not FetchedBefore.objects.exists()
    call_command("rules", "import", str(file), *lists, stdout=out, stderr=err)
    assert FetchedBefore.objects.get().uids == ["a", "b", "z"]
    assert out.lines[-3:] == [
        "u@a.ru, забрано программой fetchmail и считается собранным: 1 письмо; 1 правило",
        "u@A.ru, забрано программой fetchmail и считается собранным: 1 письмо; 1 правило",
        "u@a.ru, забрано программой mpop и считается собранным: 1 письмо; 1 правило",
    ]
    assert err.lines == ["v@a.ru, забрано программой fetchmail: 1 письмо; правила для этого ящика нет"]


def test_it_files_lists_of_other_programs_with_rules_that_are_there(file: Path, fetchids: Path, out: Said) -> None:
    file.write_text("a.ru:pop3 u p r@mydomain.ru keep\n")
    call_command("rules", "import", str(file), stdout=Said())
    call_command("rules", "seen", str(fetchids), "--json", stdout=out)
    assert FetchedBefore.objects.get().uids == ["a", "b"]
    assert out.json == {
        "fetched": [
            {"program": "fetchmail", "account": "u@a.ru", "letters": 1, "rules": 1},
            {"program": "fetchmail", "account": "u@A.ru", "letters": 1, "rules": 1},
            {"program": "fetchmail", "account": "v@a.ru", "letters": 1, "rules": 0},
        ]
    }
    assert AuditEntry.objects.get(what="fetched_lists_filed").about == ".fetchids"


def test_it_says_what_a_dry_run_would_file_and_with_which_rules(file: Path, fetchids: Path, out: Said) -> None:
    file.write_text("a.ru:pop3 u p r@mydomain.ru keep\n")
    call_command("rules", "import", str(file), stdout=Said())
    file.write_text("b.ru:pop3 x p s@mydomain.ru keep\na.ru:pop3 v p s@mydomain.ru keep\n")
    seen = ["--seen", str(fetchids), "--dry-run", "--json"]
    call_command("rules", "import", str(file), *seen, stdout=out)
    assert [one["rules"] for one in out.json["fetched"]] == [1, 1, 1]
    out.truncate(out.seek(0))
    call_command("rules", "import", str(file), *seen, "--delete-missing", stdout=out)
    assert [one["rules"] for one in out.json["fetched"]] == [0, 0, 1]


@pytest.mark.parametrize("arguments", [["seen"], ["import", "-", "--seen"]], ids=["seen", "import"])
def test_it_refuses_a_list_of_a_foreign_format_and_says_where(arguments: list[str], fetchids: Path) -> None:
    fetchids.write_text(LISTS + "v a.ru\n")
    with pytest.raises(CommandError) as refused:
        call_command("rules", *arguments, str(fetchids))
    assert refused.value.returncode == 2
    assert str(refused.value) == f"{fetchids}:4: {explain(Problem(Code.FETCHED_LINE, other='fetchmail'))}"
    assert not FetchedBefore.objects.exists()


OLD, NEW = (f"{host}.ru:pop3 u p r@mydomain.ru keep\n" for host in ("old", "new"))


@pytest.fixture
def old(file: Path) -> Path:
    """A file with the rule that OLD says, imported."""
    file.write_text(OLD)
    call_command("rules", "import", str(file), stdout=Said())
    return file


@pytest.mark.parametrize(
    ("options", "continued", "said"),
    [
        ([], True, {"continued": 1}),
        (["--other-mailbox"], False, {"begun": 1}),
    ],
)
def test_it_says_what_another_name_of_a_mailbox_means(
    options: list[str], continued: bool, said: dict[str, int], old: Path, out: Said
) -> None:
    old.write_text(NEW)
    call_command("rules", "import", str(old), "--dry-run", *options, stdout=out)
    account = Source(Protocol.POP3, "old.ru", 0, "u", "")
    assert out.lines[1].strip() == names.renamed(account, other_mailbox=not continued)
    told = Said()
    call_command("rules", "import", str(old), "--json", *options, stdout=told)
    former = {"server": "old.ru", "protocol": "pop3", "port": None, "user": "u"}
    assert told.json["rules"][0]["continues"] == (former if continued else None)
    assert (SourceMailbox.objects.get(host="new.ru").continues is not None) == continued
    assert said.items() <= AuditEntry.objects.first().detail.items()  # type: ignore[union-attr]  # there is one


def test_it_offers_a_new_rule_the_ledger_without_a_rule(old: Path, out: Said) -> None:
    rule = FetchRule.objects.get()
    known = {"recipient": rule.recipient, "state": "delivered", "size": 1, "first_seen_at": timezone.now()}
    Letter.objects.create(source=rule.source, epoch=0, uid="a", **known)
    old.write_text("")
    call_command("rules", "import", str(old), "--delete-missing", stdout=Said())
    old.write_text(NEW)
    call_command("rules", "import", str(old), "--dry-run", "--json", stdout=out)
    assert (out.json["rules"][0]["continues"], out.json["rules"][0]["offered"]["server"]) == (None, "old.ru")
    call_command("rules", "import", str(old), "--same-mailbox", stdout=Said())
    assert SourceMailbox.objects.get(host="new.ru").continues == rule.source


def test_it_stops_quietly_when_nobody_reads_on(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UTM_MAIL", "DJANGO"))}
    environment |= {"UTM_MAIL_DATA": str(tmp_path)}
    manage = [sys.executable, str(Path(__file__).parents[2] / "manage.py")]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, timeout=60, check=True)
    reader, writer = os.pipe()
    os.close(reader)
    export = [*manage, "rules", "export", "--format", "fetchmailrc"]
    done = subprocess.run(export, env=environment, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
