"""One rule line, pasted to fill the form of a new rule."""

from django import forms
from django.utils.translation import gettext_lazy as _

from fetchrules.rule import Rule
from fetchrules.ruletext.document import parse
from fetchrules.words.ruletext import describe

LONGEST = 10_000


class PasteForm(forms.Form):
    """The line is never shown again: there is a password in it."""

    line = forms.CharField(
        label=_("Paste a line"),
        max_length=LONGEST,
        strip=False,
        widget=forms.PasswordInput(
            attrs={"class": "field mono", "type": "text", "form": "paste", "autocomplete": "off", "spellcheck": "false"}
        ),
        help_text=_("Fills the fields below. Example: mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru"),
    )

    def clean_line(self) -> Rule:
        document = parse(str(self.cleaned_data["line"]))
        rules = [line.rule for line in document.lines if line.rule is not None]
        if document.errors:
            raise forms.ValidationError([describe(problem) for problem in document.errors])
        if len(rules) != 1:
            raise forms.ValidationError(_("One rule, please: what was pasted has none, or several."))
        return rules[0]
