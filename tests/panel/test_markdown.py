"""The manual's Markdown as HTML."""

import pytest

from fetchrules.panel.markdown import html_of

TABLE = "| a | b |\n|---|---|\n| `x \\| y` | **c** |"

PIECES = {
    "# The title, and more": '<h1 id="the-title-and-more">The title, and more</h1>',
    "two\nlines": "<p>two\nlines</p>",
    "one\n\ntwo": "<p>one</p>\n<p>two</p>",
    "a `<b>` & <i>": "<p>a <code>&lt;b&gt;</code> &amp; &lt;i&gt;</p>",
    "**a `b`** c": "<p><strong>a <code>b</code></strong> c</p>",
    "* a\n  more\n* b": "<ul><li>a\nmore</li><li>b</li></ul>",
    "1. a:\n\n       code\n\n   and\n2. b": '<ol><li><p>a:</p>\n<pre class="line">code</pre>\n<p>and</p></li><li>b</li></ol>',
    "    code <b>\n\n      more\n\nend": '<pre class="line">code &lt;b&gt;\n\n  more</pre>\n<p>end</p>',
    "[a `b`](#c)": '<p><a href="#c">a <code>b</code></a></p>',
    "[a](nowhere)": "<p>a</p>",
    '[a](#"><script>)': '<p><a href="#&quot;&gt;&lt;script&gt;">a</a></p>',
    '![a "b"](#c)': '<p><img src="#c" alt="a &quot;b&quot;" loading="lazy"></p>',
    "<http://127.0.0.1:8000/>": '<p><a href="http://127.0.0.1:8000/" rel="noreferrer">http://127.0.0.1:8000/</a></p>',
    TABLE: '<div class="scroll" tabindex="0" role="region" aria-label="a"><table class="table">'
    '<thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
    "<tbody><tr><td><code>x | y</code></td><td><strong>c</strong></td></tr></tbody></table></div>",
}


@pytest.mark.parametrize(("text", "html"), PIECES.items())
def test_it_renders(text: str, html: str) -> None:
    assert html_of(text, lambda target: target if target.startswith("#") else None) == html
