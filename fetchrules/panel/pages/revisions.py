"""The history of the text: what each change did, and going back."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from fetchrules.acts import text
from fetchrules.models import Revision
from fetchrules.panel import access
from fetchrules.panel.params import number, page_of
from fetchrules.rulebook import revisions
from fetchrules.rulebook.apply import TextChanged, TextRefused
from fetchrules.rulebook.text import load
from fetchrules.words.ruletext import describe
from fetchrules.words.times import exact

PAGE = 25


@require_safe
@access.text_editors_only
def index(request: HttpRequest) -> HttpResponse:
    revisions_of_text = Revision.objects.select_related("author").defer("text", "passwords")
    return render(request, "fetchrules/revisions.html", {"page": page_of(request, revisions_of_text, PAGE)})


@require_safe
@access.text_editors_only
def show(request: HttpRequest, revision_id: int) -> HttpResponse:
    """What a revision changed, and what going back to it would change."""
    revision = get_object_or_404(Revision, id=revision_id)
    before = Revision.objects.filter(id__lt=revision.id).order_by("-id").first() or Revision()
    present = Revision(text=load())
    context = {
        "revision": revision,
        "did": list(revisions.compare(before, revision)),
        "would": list(revisions.compare(present, revision)),
        "version": revisions.current_version(),
    }
    return render(request, "fetchrules/revision.html", context)


@require_POST
@access.text_editors_only
def undo(request: HttpRequest, revision_id: int) -> HttpResponse:
    """Go back to the text of a revision, with the passwords of its time. This is a revision too."""
    revision = get_object_or_404(Revision, id=revision_id)
    version = number(request.POST.get("version", ""))
    note = _("back to the text of %(moment)s") % {"moment": exact(revision.created_at)}
    try:
        text.undo(revision, -1 if version is None else version, note=note, by=access.user_of(request))
    except TextChanged:
        messages.error(request, _("Not done: the rules were changed meanwhile. Look at the differences again."))
        return redirect("revision", revision.id)
    except TextRefused as refused:
        messages.error(request, _("Not done: %(problem)s") % {"problem": describe(refused.preview.errors[0])})
        return redirect("revision", revision.id)
    messages.success(request, _("Done: %(note)s.") % {"note": note})
    return redirect("text")
