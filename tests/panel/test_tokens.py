"""The colours: every pair of ink and ground that the panel uses can be read, light and dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "static/css"
TEXT, GRAPHIC = 4.5, 3.0

GROUNDS = ("page", "surface", "zebra", "raised", "hover")

PAIRS = [
    *(
        (ink, ground, TEXT)
        for ink in ("ink", "ink-2", "hint", "link")
        for ground in ("page", "surface", "zebra", "raised", "hover")
    ),
    *((ink, "bad-surface", TEXT) for ink in ("ink", "ink-2", "hint", "link", "bad")),
    ("ink", "head", TEXT),
    ("ink", "icon-button", TEXT),
    ("ink", "icon-button-hover", TEXT),
    ("ink-2", "ok-surface", TEXT),
    ("ink-2", "run-surface", TEXT),
    ("tab-ink", "tab", TEXT),
    ("amber-ink", "amber", TEXT),
    ("amber-ink", "amber-hover", TEXT),
    *((tone, "surface", TEXT) for tone in ("ok", "warn", "bad", "run")),
    *((tone, "zebra", TEXT) for tone in ("ok", "warn", "bad", "run")),
    *((tone, f"{tone}-surface", TEXT) for tone in ("ok", "warn", "bad", "run")),
    *((ink, ground, TEXT) for ink in ("bar-ink", "bar-strong", "bar-accent") for ground in ("bar", "bar-2")),
    ("bar-alarm-ink", "bar-alarm", TEXT),
    ("bar-alarm-ink", "bar-alarm-2", TEXT),
    ("bar-ok", "bar-2", GRAPHIC),
    *((line, ground, GRAPHIC) for line in ("line-strong", "chart", "chart-2") for ground in ("page", "surface")),
]


def tokens() -> dict[str, tuple[str, str]]:
    """Each colour, light and dark."""
    text = (CSS / "tokens.css").read_text(encoding="utf-8")
    both = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", text)
    one = re.findall(r"--([\w-]+): (#\w{6});", text)
    return {name: (light, dark) for name, light, dark in both} | {name: (colour, colour) for name, colour in one}


def luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_it_can_be_read(theme: int, ink: str, ground: str, least: float) -> None:
    colours = tokens()
    assert contrast(colours[ink][theme], colours[ground][theme]) >= least


def test_it_keeps_every_colour_among_the_tokens() -> None:
    strays = [
        (path.name, colour)
        for path in CSS.glob("*.css")
        if path.name not in {"tokens.css", "print.css"}
        for colour in re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s,)])|rgba?\([^)]*\)", path.read_text(encoding="utf-8"))
    ]
    assert strays == []


def test_it_names_every_file_in_the_table_of_layers() -> None:
    named = set(re.findall(r'url\("([\w-]+\.css)"\)', (CSS / "app.css").read_text(encoding="utf-8")))
    assert named == {path.name for path in CSS.glob("*.css")} - {"app.css"}
