"""Markdown to HTML, as much of it as the manual uses: headings, paragraphs, lists, tables, code, links, pictures.

Anything else stays as it was written. All text is escaped.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from html import escape

from django.utils.safestring import SafeString

Link = Callable[[str], str | None]
"""The address for a target of the manual. None: only the words are shown."""

_HEADING = re.compile(r"(#{1,3}) (.+)")
_ITEM = re.compile(r"(?:\*|\d+\.) +")
_CODE = "    "
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`|!\[(?P<alt>[^\]]*)\]\((?P<source>[^)]+)\)|\[(?P<text>(?:[^\[\]`]|`[^`]*`)+)\]\((?P<target>[^)]+)\)"
    r"|<(?P<address>https?://[^>]+)>|\*\*(?P<strong>.+?)\*\*"
)


def html_of(text: str, link: Link) -> SafeString:
    return SafeString("\n".join(_blocks(text.splitlines(), link)))


def anchor_of(heading: str) -> str:
    """The fragment of a heading, as GitHub makes it: letters, digits and hyphens in lower case, blanks as hyphens."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _blocks(lines: Sequence[str], link: Link) -> Iterator[str]:
    rest = deque(lines)
    while rest:
        first = rest[0]
        if not first.strip():
            rest.popleft()
        elif heading := _HEADING.match(first):
            rest.popleft()
            level, words = len(heading[1]), heading[2]
            yield f'<h{level} id="{escape(anchor_of(words))}">{_inline(words, link)}</h{level}>'
        elif first.startswith(_CODE):
            code = _take(rest, lambda line: line.startswith(_CODE) or not line.strip())
            yield '<pre class="line">' + escape("\n".join(line.removeprefix(_CODE) for line in code)) + "</pre>"
        elif first.startswith("|"):
            yield _table(_take(rest, lambda line: line.startswith("|")), link)
        elif _ITEM.match(first):
            yield _list(_take(rest, lambda line: bool(_ITEM.match(line)) or line[:1] in ("", " ")), link)
        else:
            words = "\n".join(_take(rest, lambda line: bool(line.strip())))
            yield f"<p>{_inline(words, link)}</p>"


def _take(rest: deque[str], belongs: Callable[[str], bool]) -> list[str]:
    """Take the leading lines that `belongs` accepts, without blank ones at their end."""
    taken: list[str] = []
    while rest and belongs(rest[0]):
        taken.append(rest.popleft())
    while taken and not taken[-1].strip():
        taken.pop()
    return taken


def _list(lines: Sequence[str], link: Link) -> str:
    items: list[list[str]] = []
    width = 0
    for line in lines:
        if found := _ITEM.match(line):
            width = found.end()
            items.append([line[width:]])
        else:
            items[-1].append(line[width:] if not line[:width].strip() else line.lstrip())
    kind = "ul" if lines[0].startswith("*") else "ol"
    return f"<{kind}>{''.join(f'<li>{_item(item, link)}</li>' for item in items)}</{kind}>"


def _item(lines: Sequence[str], link: Link) -> str:
    """A single paragraph loses its tags."""
    blocks = list(_blocks(lines, link))
    return blocks[0].removeprefix("<p>").removesuffix("</p>") if len(blocks) == 1 else "\n".join(blocks)


def _table(lines: Sequence[str], link: Link) -> str:
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    head = "".join(f'<th scope="col">{_inline(cell, link)}</th>' for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{_inline(cell, link)}</td>' for cell in row)}</tr>" for row in rows[2:])
    table = f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(rows[0][0])}">{table}</div>'


def _inline(text: str, link: Link) -> str:
    pieces: list[str] = []
    end = 0
    for found in _INLINE.finditer(text):
        pieces += [escape(text[end : found.start()]), _marked(found, link)]
        end = found.end()
    return "".join([*pieces, escape(text[end:])])


def _marked(found: re.Match[str], link: Link) -> str:
    match found.lastgroup:
        case "code":
            return "<code>" + escape(found["code"].replace(r"\|", "|")) + "</code>"
        case "strong":
            return f"<strong>{_inline(found['strong'], link)}</strong>"
        case "address":
            return f'<a href="{escape(found["address"])}" rel="noreferrer">{escape(found["address"])}</a>'
        case "source":
            source = link(found["source"])
            return f'<img src="{escape(source)}" alt="{escape(found["alt"])}" loading="lazy">' if source else ""
        case _:
            target, words = link(found["target"]), _inline(found["text"], link)
            return f'<a href="{escape(target)}">{words}</a>' if target else words
