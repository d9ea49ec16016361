"""What the `utm` template pack adds to crispy-forms' layout objects."""

from typing import Any

from crispy_forms.layout import LayoutObject
from django.forms import BaseForm
from django.template import Context
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.safestring import SafeString


class Joined(LayoutObject):  # type: ignore[misc]  # crispy-forms has no types
    """Several short inputs on one row, under the label of the row; the others' labels are for screen readers."""

    def __init__(self, label: str | Promise, *fields: str, css_id: str, tail: str | Promise = "") -> None:
        self.label, self.fields, self.css_id, self.tail = label, list(fields), css_id, tail

    def render(self, form: BaseForm, context: Context, template_pack: str = "utm", **kwargs: Any) -> SafeString:  # noqa: ARG002 -- crispy's signature
        """The row."""
        form.rendered_fields.update(self.fields)  # type: ignore[attr-defined]  # set by FormHelper.render_layout
        return render_to_string(
            "utm/layout/joined.html", {"joined": self, "parts": [form[name] for name in self.fields]}
        )


class Former(LayoutObject):  # type: ignore[misc]  # as above
    """What becomes of the ledger of another name of the mailbox, or of one that no rule reads."""

    def render(self, form: BaseForm, context: Context, template_pack: str = "utm", **kwargs: Any) -> SafeString:  # noqa: ARG002 -- crispy's signature
        """The place where it is asked; empty where there is nothing to ask."""
        form.rendered_fields.update(("other_mailbox", "same_mailbox"))  # type: ignore[attr-defined]  # as above
        return render_to_string("utm/former.html", {"form": form})


class Advanced(LayoutObject):  # type: ignore[misc]  # as above
    """Rows that open on demand; open from the start when one of them says something or has an error."""

    def __init__(self, title: str | Promise, *fields: Any, names: tuple[str, ...]) -> None:
        self.title, self.fields, self.names = title, list(fields), names

    def render(self, form: BaseForm, context: Context, template_pack: str = "utm", **kwargs: Any) -> SafeString:
        fields = self.get_rendered_fields(form, context, template_pack, **kwargs)
        is_open = any(
            form[name].errors or form[name].value() not in (None, "", False, "m", "any") for name in self.names
        )
        return render_to_string("utm/layout/advanced.html", {"title": self.title, "fields": fields, "open": is_open})
