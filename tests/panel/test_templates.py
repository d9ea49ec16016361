"""The templates: components, in words that can be translated, with nothing that the content security policy forbids."""

import re
import statistics
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from fetchrules.models import FetchRule
from fetchrules.rule import OPTIONS

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
FILES = sorted(TEMPLATES.rglob("*.html"))
_INLINE = re.compile(r"""\sstyle=|<style|\son[a-z]+=["']|<script(?![^>]*\ssrc=)|javascript:""")
_TAGS = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}|<!--.*?-->|<code.*?</code>|<pre.*?</pre>|<[^>]*>", re.DOTALL)
_OWN_NAMES = {"Русский", "English", "CSV", "JSON", "fetchmailrc", "keep, flush, fetchall", "keepdays"} | set(OPTIONS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_it_writes_no_script_and_no_style_into_the_page(path: Path) -> None:
    assert _INLINE.findall(path.read_text(encoding="utf-8")) == []


def test_it_stays_small() -> None:
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in FILES]
    assert statistics.median(lengths) <= 30
    assert max(lengths) <= 90


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_it_leaves_no_word_without_translation(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    text = re.sub(
        r"{% blocktranslate.*?endblocktranslate %}|{% block main_class %}.*?{% endblock %}", "", text, flags=re.DOTALL
    )
    words = {word.strip(" ,.:;·→—()«»") for word in _TAGS.sub("\n", text).split("\n")}
    assert {word for word in words if re.search(r"[^\W\d_]{2,}", word)} - _OWN_NAMES == set()


@pytest.mark.parametrize("page", ["rules", "rule_new", "text", "journal", "statistics", "settings", "manual", "login"])
def test_it_sends_the_policy_with_every_page(page: str, admin: Client, rule: FetchRule) -> None:
    policy = admin.get(reverse(page))["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
