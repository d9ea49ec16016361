"""`manage.py rules`: the rule text from the command line: import, export, check, list."""

import json
import os
import secrets
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from fetchrules.acts.fetched import apply_and_take_over, take_over
from fetchrules.acts.text import export_passwords
from fetchrules.errors import DeliveryFailed
from fetchrules.ledger.source_mailboxes import Ledger
from fetchrules.management.console import Console
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.poll.destinations import delivers_into_maildirs
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.rulebook import imports, text
from fetchrules.rulebook.apply import TextChanged
from fetchrules.rulebook.preview import Choices, Entry, Preview, ledger_words, preview
from fetchrules.rulebook.rows import Change
from fetchrules.rulebook.text import FileFormat
from fetchrules.ruletext.document import MAX_OCTETS, parse
from fetchrules.ruletext.formats.detection import Format, decode, detect, import_foreign
from fetchrules.ruletext.formats.exchange import as_json
from fetchrules.ruletext.formats.fetched import MAX_OCTETS as MAX_LIST_OCTETS
from fetchrules.ruletext.formats.fetched import FetchedList, Handed, UnreadableList, hand_over, read_fetched
from fetchrules.ruletext.formats.fetchmailrc.exporter import lost_in_fetchmail
from fetchrules.ruletext.line import harmful_problems
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.render import option_text, options_of, render_rule
from fetchrules.ruletext.sources import Source, sources_of
from fetchrules.ruletext.validate import read_day
from fetchrules.upkeep.letter_times import redate_all
from fetchrules.words.failures import describe
from fetchrules.words.ruletext import describe_handed, explain

AUTO = "auto"


class Command(Console):
    """Exit status: 0 fine, 1 it could not be done, 2 wrong usage or a file with errors."""

    help = "Import, export, check and list the collection rules."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        _add_import(verbs.add_parser("import", help="make the rules say what a file says"))
        _add_seen(verbs.add_parser("seen", help="let letters that another program has fetched count as collected"))
        _add_export(verbs.add_parser("export", help="write the rules out"))
        _add_file(verbs.add_parser("check", help="say what is wrong with a file"))
        redating = verbs.add_parser("redate", help="give delivered letters the times of their arrival")
        redating.add_argument("--dry-run", action="store_true", help="only say what would be changed")
        redating.add_argument("--json", action="store_true", help="one JSON object a mailbox")
        verbs.add_parser("list", help="the rules, one in a line").add_argument(
            "--json", action="store_true", help="one JSON object a rule"
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Run the verb. A reader that closes the pipe (`| head`) ends it with status 1."""
        verbs = {
            "import": self._import,
            "seen": self._seen,
            "export": self._export,
            "check": self._check,
            "redate": self._redate,
            "list": self._list,
        }
        try:
            verbs[options["verb"]](options)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more is written at exit
            raise SystemExit(1) from None

    def _import(self, options: dict[str, Any]) -> None:
        if options["since"] is not None:
            options["since"] = read_day(options["since"], timezone.localdate())
        form = None if options["format"] == AUTO else Format(options["format"])
        delete = options["delete_missing"]
        lists = _fetched_lists(options["seen"])
        file = imports.read(_content(options["file"]), form, domain=options["domain"], replace_all=delete)
        seen = preview(file.document, _choices(options))
        problems = [*file.problems, *(file.at_origin(problem) for problem in seen.problems if not file.errors)]
        refused = any(problem.is_error for problem in problems)
        applied = not refused and not options["dry_run"]
        handed = hand_over(lists, _readers_of(seen, delete_missing=delete))
        if applied:
            note = "" if options["file"] == "-" else Path(options["file"]).name[:200]
            try:
                _done, handed = apply_and_take_over(
                    file.document,
                    seen.version,
                    _choices(options),
                    lists,
                    by=None,
                    note=note,
                    lists_note=_names(options["seen"]),
                )
            except TextChanged as error:
                raise CommandError(_("the rules were changed at the same moment; nothing was done")) from error
        self._say_import(options, file.format, seen, problems, handed, applied=applied)
        if refused:
            raise SystemExit(2)

    def _say_import(
        self,
        options: dict[str, Any],
        form: Format,
        seen: Preview,
        problems: list[Problem],
        handed: list[Handed],
        *,
        applied: bool,
    ) -> None:
        counts = {
            "added": len(seen.added),
            "changed": len(seen.changed),
            "removed": len(seen.missing) if options["delete_missing"] else 0,
            "unchanged": len(seen.unchanged),
        }
        if options["json"]:
            result = {
                "format": form,
                "applied": applied,
                **counts,
                "rules": [_entry_row(entry, options) for entry in (*seen.added, *seen.changed)],
                "missing": [_row(stored.row, stored.rule) for stored in seen.missing],
                "problems": [_problem_row(problem) for problem in problems],
                "fetched": [_handed_row(one) for one in handed],
            }
            self.stdout.write(json.dumps(result, ensure_ascii=False))
            return
        self._say_problems(problems)
        for entry in seen.added:
            self._say_entry(f"+ {entry.line.masked_text}", entry, options)
        for entry in seen.changed:
            changes = ", ".join(_change(change) for change in entry.changes)
            self._say_entry(f"~ {entry.line.masked_text}  ({changes})", entry, options)
        for stored in seen.missing:
            self.stdout.write(f"- {stored.line.text}")
        self.stdout.write(
            _("added %(added)s, changed %(changed)s, removed %(removed)s, unchanged %(unchanged)s") % counts
        )
        self._say_handed(handed)
        if not applied:
            self.stdout.write(_("Nothing was changed."))

    def _seen(self, options: dict[str, Any]) -> None:
        """File lists of letters that another program has fetched with the rules that are there."""
        handed = take_over(_fetched_lists(options["files"]), by=None, note=_names(options["files"]))
        if options["json"]:
            self.stdout.write(json.dumps({"fetched": [_handed_row(one) for one in handed]}, ensure_ascii=False))
        else:
            self._say_handed(handed)

    def _say_handed(self, handed: Iterable[Handed]) -> None:
        for one in handed:
            (self.stdout if one.rules else self.stderr).write(describe_handed(one))

    def _say_entry(self, line: str, entry: Entry, options: dict[str, Any]) -> None:
        """The line, and below it what becomes of the ledger of another name of the mailbox."""
        self.stdout.write(line)
        if said := ledger_words(entry, _choices(options)):
            self.stdout.write(f"    {said}")

    def _export(self, options: dict[str, Any]) -> None:
        """Stream the rules to a file that only its owner can read, or to the standard output."""
        with_passwords = options["with_passwords"]
        form = FileFormat.JSON if options["json"] else FileFormat(options["format"])
        pieces = text.export(form, with_passwords=with_passwords)
        if with_passwords:
            export_passwords(options["output"] or "-", by=None)
        with _output(options["output"], self.stdout.write_data) as write:
            for piece in pieces:
                write(piece)
        if options["format"] == FileFormat.FETCHMAILRC:
            for lost in lost_in_fetchmail(text.rules_of()):
                self.stderr.write(
                    _("rule %(rule)s: fetchmail has no “%(field)s”") % {"rule": lost.rule, "field": lost.field}
                )

    def _check(self, options: dict[str, Any]) -> None:
        """Print the errors and warnings of a file. The stored rules are not read."""
        content = _content(options["file"])
        form = detect(content) if options["format"] == AUTO else Format(options["format"])
        if form is Format.TEXT:
            document = parse(content)
            problems = (*document.problems, *(found for line in document.lines for found in harmful_problems(line)))
            rules = sum(line.rule is not None for line in document.lines)
        else:
            imported = import_foreign(content, form, options["domain"] or ServiceSettings.current().only_domain)
            problems = imported.problems
            rules = len(imported.found)
        if options["json"]:
            said = [_problem_row(problem) for problem in problems]
            self.stdout.write(json.dumps({"format": form, "rules": rules, "problems": said}, ensure_ascii=False))
        else:
            self._say_problems(problems)
        if any(problem.is_error for problem in problems):
            raise SystemExit(2)

    def _redate(self, options: dict[str, Any]) -> None:
        if not delivers_into_maildirs():
            raise CommandError(_("Letters go to a mail server, which gives them their times itself."))
        failed = False
        for recipient, done in redate_all(dry_run=options["dry_run"]):
            if isinstance(done, DeliveryFailed):
                failed = True
                self.stderr.write(f"{recipient}: {describe(done.code).title} ({done.detail})")
            elif options["json"]:
                self.stdout.write(json.dumps({"recipient": recipient, **asdict(done)}, ensure_ascii=False))
            else:
                told = _("changed %(changed)d, right before %(right)d, without a known time %(undated)d") % asdict(done)
                self.stdout.write(f"{recipient}: {told}")
        if options["dry_run"] and not options["json"]:
            self.stdout.write(_("Nothing was changed."))
        if failed:
            raise SystemExit(1)

    def _list(self, options: dict[str, Any]) -> None:
        for row in FetchRule.objects.order_by("position", "id").iterator(chunk_size=1000):
            rule = row.as_rule(MASK)
            if options["json"]:
                self.stdout.write(json.dumps(_row(row, rule), ensure_ascii=False))
            else:
                words = " ".join(option_text(word, value, Spelling.BLANKS) for word, value in options_of(rule))
                self.stdout.write(
                    f"{row.id}\t{rule.user}@{rule.server}\t{rule.recipient}\t{rule.protocol} {words}".rstrip()
                )

    def _say_problems(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            kind = "" if problem.is_error else _("warning: ")
            place = f"{problem.line}:{problem.column}: " if problem.line else ""
            self.stderr.write(f"{place}{kind}{explain(problem)}")


def _add_import(parser: ArgumentParser) -> None:
    _add_file(parser)
    parser.add_argument("--delete-missing", action="store_true", help="delete the rules that the file does not have")
    present = parser.add_mutually_exclusive_group()
    present.add_argument(
        "--pass-present", action="store_true", help="what already lies on the servers of new rules counts as collected"
    )
    present.add_argument(
        "--since",
        metavar="DAY",
        help="what arrived at the servers of new rules before this day (2026-01-31) counts as collected",
    )
    parser.add_argument(
        "--other-mailbox",
        action="store_true",
        help="a rule with another server, protocol or login reads another mailbox: collect everything that lies there",
    )
    parser.add_argument(
        "--same-mailbox",
        action="store_true",
        help="a new rule reads the mailbox of the only ledger of its recipient that no rule reads: recognise its letters",
    )
    parser.add_argument(
        "--seen",
        metavar="LIST",
        action="append",
        default=[],
        help="what another program has fetched counts as collected: fetchmail's .fetchids, a file oldmail-... of getmail6, "
        "or mpop's uidls_file; may be given several times",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be changed")


def _add_file(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the file, or - for the standard input")
    parser.add_argument(
        "--format", choices=[AUTO, *Format], default=AUTO, help="its format; auto (the default) finds out"
    )
    parser.add_argument(
        "--domain", default="", help="for a fetchmailrc: the domain of names without one; else the only local domain"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _add_seen(parser: ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="LIST",
        nargs="+",
        help="fetchmail's .fetchids, a file oldmail-... of getmail6, or mpop's uidls_file",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _add_export(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=[*FileFormat], default="text", help="text (the default) is as written, comments and all"
    )
    parser.add_argument("--with-passwords", action="store_true", help="passwords in plain text, not ********")
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write to FILE, readable by its owner only")
    parser.add_argument("--json", action="store_true", help="the same as --format json")


def _content(name: str, maximum: int = MAX_OCTETS) -> str:
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            octets = file.read(maximum + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}", returncode=2) from error
    if len(octets) > maximum:
        raise CommandError(explain(Problem(Code.TEXT_TOO_LONG, maximum=maximum)), returncode=2)
    return decode(octets)


def _fetched_lists(names: Sequence[str]) -> list[FetchedList]:
    lists: list[FetchedList] = []
    for name in names:
        try:
            lists += read_fetched(_content(name, MAX_LIST_OCTETS), Path(name).name)
        except UnreadableList as error:
            place = f"{name}:{error.problem.line}" if error.problem.line else name
            raise CommandError(f"{place}: {explain(error.problem)}", returncode=2) from error
    return lists


def _names(files: Sequence[str]) -> str:
    return ", ".join(Path(name).name for name in files)[:200]


def _readers_of(seen: Preview, *, delete_missing: bool) -> Counter[Source]:
    """The mailboxes that rules would read if the text were applied, and how many rules."""
    rules = [line.rule for line in seen.document.lines if line.rule]
    rules += [] if delete_missing else [stored.rule for stored in seen.missing]
    return Counter(source for rule in rules for source in sources_of(rule))


def _handed_row(handed: Handed) -> dict[str, object]:
    found = handed.fetched
    return {
        "program": found.collector,
        "account": found.account,
        "letters": len(found.uids),
        "rules": handed.rules,
    }


@contextmanager
def _output(name: str, standard: Callable[[str], object]) -> Iterator[Callable[[str], object]]:
    """Where to write: `standard`, or a file that is there only when it is whole, and only its owner's."""
    if not name:
        yield standard
        return
    path = Path(name)
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                yield file.write
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error


def _choices(options: dict[str, Any]) -> Choices:
    return Choices(**{field.name: options[field.name] for field in fields(Choices)})


def _entry_row(entry: Entry, options: dict[str, Any]) -> dict[str, object]:
    """`continues`: the ledger that it goes on with; `offered`: one that it could go on with."""
    changes = [
        {"field": change.field, "old": _plain(change.old), "new": _plain(change.new)} for change in entry.changes
    ]
    return {
        "verdict": entry.verdict.value,
        "line": entry.line.number,
        "text": entry.line.masked_text,
        "changes": changes,
        "continues": _ledger_row(entry.continued(_choices(options))),
        "offered": _ledger_row(entry.orphan.ledger if entry.orphan and not options["same_mailbox"] else None),
    }


def _ledger_row(ledger: Ledger | None) -> dict[str, object] | None:
    if ledger is None:
        return None
    account = ledger.account
    return {"server": account.host, "protocol": account.protocol, "port": account.port or None, "user": account.user}


def _change(change: Change) -> str:
    if change.field == "password":
        return change.field
    return f"{change.field}: {_plain(change.old)} → {_plain(change.new)}"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _row(row: FetchRule, rule: Rule) -> dict[str, object]:
    return {"rule": row.id, **as_json(rule), "text": render_rule(rule, Spelling.BLANKS)}


def _problem_row(problem: Problem) -> dict[str, object]:
    return {
        "line": problem.line,
        "column": problem.column,
        "length": problem.length,
        "severity": "error" if problem.is_error else "warning",
        "code": problem.code.value,
        "field": problem.field,
        "suggestion": problem.suggestion,
        "message": explain(problem),
    }
