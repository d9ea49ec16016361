"""Bar charts as coordinates: the template draws them as SVG, the words stand beside in HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH = 1000
HEIGHT = 200
_GAP = 0.22
_NICE = (2, 4, 10, 20)


@dataclass(frozen=True, slots=True)
class Column:
    """One bar: where it stands, how high, and what it says."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `scale` are the words of the y axis, from the top; `ticks` of the x axis, from the left."""

    title: str
    columns: tuple[Column, ...]
    scale: tuple[str, str, str]
    ticks: tuple[str, ...]
    tone: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(column.height for column in self.columns)


@dataclass(frozen=True, slots=True)
class Bar:
    """A value, its place on the x axis in words, and its words."""

    value: float
    tick: str
    words: str


def chart(title: str, bars: Sequence[Bar], say: Callable[[int], str], unit: int = 1, tone: str = "") -> Chart:
    """A chart of `bars`, as high as the highest needs; `say` puts a value of the y axis into words, in round `unit`s."""
    top = _top(max((bar.value for bar in bars), default=0), unit)
    step = WIDTH / max(len(bars), 1)
    columns = tuple(_column(bar, index * step, step, top) for index, bar in enumerate(bars))
    return Chart(title, columns, (say(round(top)), say(round(top / 2)), "0"), _ticks([bar.tick for bar in bars]), tone)


def _top(most: float, unit: int) -> float:
    """The round number of `unit`s at or above `most`, where the axis ends."""
    size = float(unit)
    while size * _NICE[-1] < most:
        size *= 10
    return next(nice * size for nice in _NICE if nice * size >= most)


def _column(bar: Bar, x: float, step: float, top: float) -> Column:
    height = HEIGHT * bar.value / top
    if bar.value:
        height = max(height, 2.0)
    return Column(
        round(x + step * _GAP / 2, 1),
        round(HEIGHT - height, 1),
        round(step * (1 - _GAP), 1),
        round(height, 1),
        bar.words,
    )


def _ticks(words: Sequence[str]) -> tuple[str, ...]:
    """The first, the last, and a few between at equal distances."""
    if len(words) <= 8:
        return tuple(words)
    return tuple(words[round(index * (len(words) - 1) / 4)] for index in range(5))
