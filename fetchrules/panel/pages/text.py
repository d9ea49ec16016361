"""The text of all rules: read, checked, previewed, applied; from a file, to a file; as one box or as a list of lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from fetchrules.acts import roles
from fetchrules.acts.fetched import apply_and_take_over, take_over
from fetchrules.panel import access
from fetchrules.panel.forms.saving import Present
from fetchrules.panel.pages import drafts
from fetchrules.panel.params import number
from fetchrules.rulebook import imports
from fetchrules.rulebook.apply import Applied, TextChanged, TextRefused
from fetchrules.rulebook.preview import Choices, Entry, Preview, ledger_words, preview
from fetchrules.rulebook.revisions import current_version
from fetchrules.rulebook.text import from_text_box, load
from fetchrules.ruletext.document import MAX_OCTETS, Document
from fetchrules.ruletext.formats.detection import Format, decode
from fetchrules.ruletext.formats.fetched import MAX_OCTETS as MAX_LIST_OCTETS
from fetchrules.ruletext.formats.fetched import FetchedList, Handed, UnreadableList, read_fetched
from fetchrules.ruletext.line import Line
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.validate import read_day
from fetchrules.secrets.sealed import SealedDraft
from fetchrules.words import events
from fetchrules.words.ruletext import describe, describe_handed, explain

SHOWN = 200
"""So many rules of each kind of change are listed, and so many problems."""
FEW = 5
"""So many rules are named as an example."""
MANY_LINES = 500
"""Up to so many lines the text is also offered as a list of lines."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in words, and where it is in the text that is shown. `column` 0: the whole line."""

    line: int
    column: int
    length: int
    is_error: bool
    words: str
    suggestion: str


def _ticked(request: HttpRequest) -> Choices:
    present = request.POST.get("present")
    return Choices(
        delete_missing="delete_missing" in request.POST,
        pass_present=present == Present.NONE,
        since=read_day(request.POST.get("since", ""), timezone.localdate()) if present == Present.SINCE else None,
        other_mailbox="other_mailbox" in request.POST,
        same_mailbox="same_mailbox" in request.POST,
    )


def _said_of_ledger(entry: Entry, ticks: Choices) -> list[str]:
    """What becomes of the ledger of another name of its mailbox."""
    said = ledger_words(entry, ticks)
    return [said] if said else []


@dataclass(frozen=True, slots=True)
class PreviewShown:
    """A preview in words. `added`: each with what becomes of it at once. `unpassable`: as the preview's, each with its reason."""

    seen: Preview
    ticks: Choices
    added: list[tuple[str, list[str]]]
    changed: list[tuple[str, list[str]]]
    missing: list[str]
    unpassable: list[tuple[str, str]]
    findings: list[Finding]
    more: int

    @property
    def able(self) -> int:
        """For how many new rules what lies on the server can count as collected."""
        return len(self.seen.added) - len(self.seen.unpassable)

    @classmethod
    def of(cls, seen: Preview, displayed: str, ticks: Choices) -> "PreviewShown":
        """Of what applying would do; `displayed` is the text as the reader sees it, some passwords masked."""
        lines = displayed.splitlines()
        return cls(
            seen,
            ticks,
            [
                (events.name_of(entry.rule), [events.beginning_of(entry.rule), *_said_of_ledger(entry, ticks)])
                for entry in seen.added[:SHOWN]
            ],
            [
                (
                    events.name_of(entry.rule),
                    [
                        *(events.describe_change(c.field, c.old, c.new) for c in entry.changes),
                        *_said_of_ledger(entry, ticks),
                    ],
                )
                for entry in seen.changed[:SHOWN]
            ],
            [events.name_of(stored.rule) for stored in seen.missing[:SHOWN]],
            [(events.name_of(entry.rule), explain(Problem(fault))) for entry, fault in seen.unpassable[:FEW]],
            [_finding(problem, seen, lines) for problem in (*seen.errors, *seen.warnings)[:SHOWN]],
            max(0, len(seen.problems) - SHOWN),
        )


def _finding(problem: Problem, seen: Preview, displayed: Sequence[str]) -> Finding:
    """Where the line is shown as it was written, its column counts; where something is masked, only the line does."""
    written = seen.document.lines[problem.line - 1].text if 0 < problem.line <= len(seen.document.lines) else ""
    as_written = problem.line <= len(displayed) and displayed[problem.line - 1] == written
    column, length = (problem.column, max(problem.length, 1)) if as_written else (0, 0)
    suggestion = problem.suggestion if as_written else ""
    return Finding(problem.line, column, length, problem.is_error, explain(problem), suggestion)


@require_http_methods(["GET", "HEAD", "POST"])
@access.text_editors_only
def edit(request: HttpRequest) -> HttpResponse:
    """What was pasted is never sent back: its passwords stay in the session, sealed, until it is applied."""
    if request.method != "POST":
        return _page(request, None)
    try:
        document = _submitted(request)
    except _TooLarge:
        messages.error(request, explain(Problem(Code.TEXT_TOO_LONG, maximum=MAX_OCTETS)))
        return _page(request, None)
    match request.POST.get("do"):
        case "apply":
            return _apply(request, document)
        case "take_over":
            return _take_over(request, document)
        case "add":
            return _page(request, _with_blank_line(document))
        case "remove":
            return _page(request, document)
        case _:
            return _check(request, document)


class _TooLarge(Exception):
    """A file that is larger than a text may be; it was not read."""


def _submitted(request: HttpRequest) -> Document:
    """The text of the box, of the list of lines, or of a file, its passwords put back. Raises _TooLarge."""
    if upload := request.FILES.get("file"):
        if (upload.size or 0) > MAX_OCTETS:
            raise _TooLarge
        return _imported(request, decode(upload.read()))
    if "lines" in request.POST:
        lines = request.POST.getlist("line")
        removed = number(request.POST.get("remove", ""))
        if removed is not None:
            del lines[removed : removed + 1]
        text = "".join(f"{line}\n" for line in lines)
    else:
        text = from_text_box(request.POST.get("text", ""))
    return drafts.restore_text(request, text)


def _with_blank_line(document: Document) -> Document:
    """One blank line at the end, to be filled in."""
    lines = list(document.lines)
    while lines and not lines[-1].text:
        lines.pop()
    if lines:
        lines[-1] = replace(lines[-1], ending=lines[-1].ending or "\n")
    return document.with_lines([*lines, Line(ending="\n")])


def _imported(request: HttpRequest, content: str) -> Document:
    """A file of any known format, as rule text: another program's rules are merged into the present text."""
    found = imports.read(content)
    if found.format is not Format.TEXT:
        about = {"format": found.format.value}
        messages.info(request, _("The file was read as %(format)s. Check the text, then apply it.") % about)
        for problem in found.problems[:SHOWN]:
            messages.add_message(request, messages.ERROR if problem.is_error else messages.WARNING, describe(problem))
    return found.document


def _check(request: HttpRequest, document: Document) -> HttpResponse:
    return _page(request, document, preview(document, _ticked(request)))


def _apply(request: HttpRequest, document: Document) -> HttpResponse:
    version = number(request.POST.get("version", ""))
    user = access.user_of(request)
    lists = _lists(request)
    if lists is None:
        return _check(request, document)
    try:
        told = request.POST.get("told", "")
        expected = -1 if version is None else version
        done, handed = apply_and_take_over(
            document, expected, _ticked(request), lists, told=told, by=user, lists_note=_names(request)
        )
    except TextChanged:
        messages.error(
            request,
            _("Not applied: the rules were changed meanwhile. Look at what would change now, then apply again."),
        )
        return _check(request, document)
    except TextRefused as refused:
        return _page(request, document, refused.preview)
    drafts.forget(request, SealedDraft.TEXT)
    _tell(request, done)
    _tell_of_lists(request, handed)
    return redirect("text")


def _take_over(request: HttpRequest, document: Document) -> HttpResponse:
    """File lists of fetched letters with the rules that are there. What was typed stays as it is."""
    lists = _lists(request)
    if lists:
        _tell_of_lists(request, take_over(lists, by=access.user_of(request), note=_names(request)))
    elif lists is not None:
        messages.error(request, _("Choose the other program's file first."))
    return _page(request, document)


def _lists(request: HttpRequest) -> list[FetchedList] | None:
    """The lists of fetched letters that were sent. None, and a message, if one cannot be read."""
    lists: list[FetchedList] = []
    for upload in request.FILES.getlist("fetched"):
        name = upload.name or ""
        if (upload.size or 0) > MAX_LIST_OCTETS:
            messages.error(request, f"{name}: {explain(Problem(Code.TEXT_TOO_LONG, maximum=MAX_LIST_OCTETS))}")
            return None
        try:
            lists += read_fetched(decode(upload.read()), name)
        except UnreadableList as error:
            messages.error(request, f"{name}: {describe(error.problem)}")
            return None
    return lists


def _names(request: HttpRequest) -> str:
    return ", ".join(upload.name or "" for upload in request.FILES.getlist("fetched"))[:200]


def _tell_of_lists(request: HttpRequest, handed: Sequence[Handed]) -> None:
    """What became of the lists, those first that no rule is for."""
    for one in sorted(handed, key=lambda one: one.rules > 0)[:SHOWN]:
        messages.add_message(request, messages.SUCCESS if one.rules else messages.WARNING, describe_handed(one))
    if len(handed) > SHOWN:
        messages.info(request, _("Accounts in all: %(number)s") % {"number": len(handed)})


def _tell(request: HttpRequest, done: Applied) -> None:
    if done.revision is None:
        messages.info(request, _("Applied: there was nothing to change."))
        return
    words = _(
        "Applied: added %(added)s, changed %(changed)s, deleted %(removed)s, unchanged %(unchanged)s. "
        "New and changed rules are being polled."
    )
    counts = {"added": done.added, "changed": done.changed, "removed": done.removed, "unchanged": done.unchanged}
    messages.success(request, words % counts)


def _page(request: HttpRequest, document: Document | None, seen: Preview | None = None) -> HttpResponse:
    """The page with the text of `document`, None: the stored one; with `fragment` only what a check found."""
    ticks = _ticked(request)
    if "fragment" in request.POST and seen:
        context = {
            "shown": PreviewShown.of(seen, request.POST.get("text", ""), ticks),
            "version": seen.version,
            "outdated": request.POST.get("version") != str(seen.version),
            "delete_missing": ticks.delete_missing,
            "since": request.POST.get("since", ""),
        }
        return render(request, "fetchrules/_text_check.html", context)
    masked = drafts.keep_text(request, document or Document())
    if document is None or masked is None:
        masked = load()
    lines = masked.splitlines()
    as_lines = request.GET.get("mode") == "lines" and len(lines) <= MANY_LINES
    context = {
        "text": masked,
        "lines": lines,
        "as_lines": as_lines,
        "may_list": len(lines) <= MANY_LINES,
        "administers": roles.administers(request.user),
        "rows": max(len(lines) + 1, 14),
        "columns": max((len(line) for line in lines), default=0) + 2,
        "shown": PreviewShown.of(seen, masked, ticks) if seen else None,
        "version": seen.version if seen else current_version(),
        "since": request.POST.get("since", ""),
        # A line of the list that is thrown away takes its rule with it, as long as nobody says otherwise.
        "delete_missing": ticks.delete_missing if request.method == "POST" else as_lines,
    }
    return render(request, "fetchrules/text.html", context)
