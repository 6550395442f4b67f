"""Pictures of Matplotlib as SVG that GitHub and the project's site show, in light and in dark.

A picture is a file in a folder that is named like its page, since GitHub shows an image by its
address and leaves out whatever is drawn within a page. Its colours follow `prefers-color-scheme`,
which an image takes from the page around it, so one file serves light and dark; its letters are
text. The figures that it shows stand beside it as text.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from io import StringIO
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from dslp.core.text import SENTENCE, format_share, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Draw = Callable[[Axes], None]

Interval = tuple[str, str, float, float, float]  # a name, words, an estimate and its two ends
WIDTH, ROW = 420, 44  # pixels, of a picture and of a row in it: letters stay legible on a telephone
# Matplotlib is given these colours, and the style sheet of a picture puts others in their place.
INK, SOFT, MAIN, OTHER = (f"#01020{number}" for number in range(4))


def draw_histogram(words: str, counts: Sequence[int], first: str, last: str) -> str:
    """Bars of equal width; `first` and `last` are what the axis says at its ends."""

    def draw(axes: "Axes") -> None:
        axes.bar(range(len(counts)), counts, width=0.9, align="edge", color=MAIN)
        axes.margins(x=0.01)
        axes.axhline(0, color=INK, linewidth=1)
        for place, name, side in ((0, first, "left"), (1, last, "right")):
            axes.text(place, -0.06, name, transform=axes.transAxes, va="top", ha=side)
        axes.set_axis_off()

    return _svg(words, draw, 150, bottom=26)


def draw_shares(
    words: str, rows: Mapping[str, Sequence[float]], series: Sequence[str] = ("",)
) -> str:
    """For each name one bar a series, with its share (0 to 1) behind it."""
    most = max(map(max, rows.values())) or 1

    def draw(axes: "Axes") -> None:
        for row, (name, shares) in enumerate(rows.items()):
            axes.text(0, row * height, visible(name, 44), va="center")
            for bar, value in enumerate(shares):
                y, colour = row * height + 16 * (bar + 1), (MAIN, OTHER)[bar]
                axes.barh(y, value / most * 0.7, 11, color=colour)
                shown = f"{format_share(value, 1)} {'' if row else series[bar]}".strip()
                axes.text(value / most * 0.7 + 0.015, y, shown, va="center", size=11)
        axes.set(xlim=(0, 1), ylim=(len(rows) * height - 8, -12))
        axes.set_axis_off()

    height = 26 + 16 * len(series)
    return _svg(words, draw, len(rows) * height + 4)


def draw_lines(words: str, names: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Lines over names in their order, the first of several dashed."""

    def draw(axes: "Axes") -> None:
        for place, (name, values) in enumerate(series.items()):
            style, colour = ("-", MAIN) if place == len(series) - 1 else ((0, (4, 3)), OTHER)
            axes.plot(names, values, color=colour, linestyle=style, linewidth=2, label=name)
            axes.scatter(names, values, color=colour, s=16)
        axes.grid(axis="y", color=SOFT)
        axes.tick_params(length=0, colors=INK)
        axes.locator_params(axis="y", nbins=4)
        axes.spines[:].set_visible(False)
        axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 0.98))

    return _svg(words, draw, 210, left=52, top=30, bottom=26)


def draw_intervals(
    words: str, title: str, rows: Sequence[Interval], marks: Mapping[str, float], footnote: str
) -> str:
    """For each row a name, what it says, an estimate and the ends of its interval, beside marks."""

    def draw(axes: "Axes") -> None:
        across = axes.get_yaxis_transform()  # x from 0 to 1, y in rows
        for row, (name, shown, middle, low, high) in enumerate(rows):
            y = row * ROW
            axes.text(0, y, visible(name, 26), va="center", transform=across)
            axes.text(1, y, shown, va="center", ha="right", transform=across, size=11)
            for (mark, place), colour in zip(marks.items(), (INK, OTHER), strict=True):
                ends, label = [y + 11, y + 29], "" if row else mark
                axes.plot([place] * 2, ends, color=colour, linewidth=2, label=label)
            axes.plot([low, high], [y + 20] * 2, color=MAIN, linewidth=3)
            axes.scatter([middle], [y + 20], color=MAIN, s=55, zorder=3)
        axes.set_ylim(len(rows) * ROW - 10, -12)
        axes.margins(x=0.06)
        axes.set_axis_off()
        axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(-0.03, 1))
        axes.figure.text(10 / WIDTH, 1 - 20 / height, title, weight="bold")
        axes.figure.text(10 / WIDTH, 10 / height, footnote, size=11)

    height = len(rows) * ROW + 90
    return _svg(words, draw, height, top=60, bottom=30)


def _svg(
    words: str, draw: "Draw", height: int, left: int = 10, top: int = 6, bottom: int = 6
) -> str:
    """What `draw` puts between the margins, as SVG that says `words` to those who do not see."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    text = StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "dslp", "text.parse_math": False}
    box = (left / WIDTH, bottom / height, 1 - (left + 10) / WIDTH, 1 - (top + bottom) / height)
    with rc_context(settings | {"font.size": 13, "text.color": INK}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that its font has not: the reader's has it
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        draw(figure.add_axes(box))
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    described = escape(visible(words, SENTENCE), {'"': "&quot;"})
    sheet = files("dslp.core").joinpath("templates", "picture.css").read_text(encoding="utf-8")
    root = f'''<svg data-by="dslp" xmlns="http://www.w3.org/2000/svg"
     xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"
     height="{height}" role="img" aria-label="{described}">
<title>{described}</title><style>{sheet}</style>'''
    return re.sub(r"^.*?<svg .*?>", lambda _: root, text.getvalue(), count=1, flags=re.DOTALL)
