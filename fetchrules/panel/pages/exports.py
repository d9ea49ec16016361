"""The rules as a file, in each format; with passwords only for those who may, who enter their own once more."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from fetchrules.acts import roles
from fetchrules.acts.text import export_passwords
from fetchrules.panel import access
from fetchrules.panel.forms.account import ExportForm, is_closed
from fetchrules.rulebook import text
from fetchrules.rulebook.text import FileFormat

_FILES = {
    FileFormat.FETCHMAILRC: ("fetchmailrc", "text/plain"),
    FileFormat.JSON: ("rules.json", "application/json"),
}
"""Name and media type of a file that is not the text."""


@require_safe
@access.text_editors_only
def download(request: HttpRequest) -> HttpResponse:
    asked = request.GET.get("format", "")
    form = next((form for form in FileFormat if form.value == asked), FileFormat.TEXT)
    return _file(form, with_passwords=False)


@require_http_methods(["GET", "HEAD", "POST"])
@access.text_editors_only
def with_passwords(request: HttpRequest) -> HttpResponse:
    """Ask for the reader's own password, then the rules with theirs. It is noted in the audit."""
    user = access.user_of(request)
    if not roles.sees_passwords(user):
        raise PermissionDenied
    form = ExportForm(request.POST or None, user=user, request=request)
    if form.is_bound and form.is_valid():
        chosen = FileFormat(form.cleaned_data["format"])
        export_passwords(by=user, format=chosen.value)
        return _file(chosen, with_passwords=True)
    return render(request, "fetchrules/export.html", {"form": form}, status=429 if is_closed(form) else 200)


def _file(form: FileFormat, *, with_passwords: bool) -> HttpResponse:
    name, kind = _FILES.get(form, ("rules.txt", "text/plain"))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    content = "".join(text.export(form, with_passwords=with_passwords))
    return HttpResponse(content, content_type=f"{kind}; charset=utf-8", headers=headers)
