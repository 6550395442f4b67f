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

from dslp.core.text import SENTENCE, format_number, format_share, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Draw = Callable[[Axes], None]

Interval = tuple[str, str, float, float, float]  # a name, words, an estimate and its two ends
WIDTH, ROW = 420, 44  # pixels, of a picture and of a row in it: letters stay legible on a telephone
HALF = 340  # pixels, of a picture that stands beside another one where a page is wide enough
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


def draw_points(
    across: str, up: str, rows: Sequence[Sequence[Any]], mark: str = "", two: Sequence[str] = ()
) -> str:
    """Points, most of them with intervals, on axes that are called `across` and `up`.

    Args:
        across: the name of x, the first of each row.
        up: the name of y.
        rows: x, y, the ends of y's interval (or None), a number of rows that is not drawn, and
            perhaps another y. Where x is text, the points stand at equal distances.
        mark: what the diagonal means, if there is to be one; `0` is a line at 0.
        two: what y and the other y are called, where there are two.
    """
    import numpy as np

    names = [row[0] for row in rows] if isinstance(rows[0][0], str) else []
    places = np.arange(len(rows)) if names else np.array([row[0] for row in rows])
    bars = [(x, *row[2:4]) for x, row in zip(places, rows, strict=True) if row[2] is not None]
    legend = bool(two) or mark not in ("", "0")

    def draw(axes: "Axes") -> None:
        if mark == "0":
            axes.axhline(0, color=INK, linewidth=1)
        elif mark:
            ends = [places.min(), places.max()]
            axes.plot(ends, ends, color=OTHER, linestyle=(0, (4, 3)), linewidth=2, label=mark)
        if two:
            others = [row[5] for row in rows]
            axes.plot(places, others, "o--", color=OTHER, markersize=4, label=two[1])
        values, label = [row[1] for row in rows], two[0] if two else ""
        axes.plot(places, values, "o-", color=MAIN, markersize=5, label=label)
        if bars:
            axes.vlines(*np.array(bars).T, color=MAIN, linewidth=4, alpha=0.4)
        axes.set_ylim(bottom=0 if two else None)
        axes.set_xlabel(visible(across))
        axes.locator_params(axis="y", nbins=4)
        axes.yaxis.set_major_formatter(_tick)
        if names:
            some = slice(None, None, -(-len(names) // 4))
            axes.set_xlim(-0.13 * len(names), 1.13 * len(names) - 1)  # also without their values
            axes.set_xticks(places[some], [visible(name, 12) for name in names[some]])
        else:
            axes.locator_params(axis="x", nbins=5)
            axes.xaxis.set_major_formatter(_tick)
        axes.grid(axis="y", color=SOFT)
        axes.tick_params(length=0, colors=INK)
        axes.spines[:].set_visible(False)
        axes.set_title(visible(up), loc="left", pad=30 if legend else 10)
        if legend:
            axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(-0.03, 0.97))

    return _svg(f"{up}, by {across}", draw, 270, left=60, top=54 if legend else 34, bottom=46)


def draw_matrix(words: str, rows: Sequence[Sequence[Any]]) -> str:
    """Names with counts, shown as shares of their row in percent: the higher, the darker."""
    names = [row[0] for row in rows]

    def draw(axes: "Axes") -> None:
        width, labels = 270 / len(names), names if len(names) < 4 else range(1, len(names) + 1)
        axes.text(130, 0, "predicted (% of the row)")
        axes.text(0, 24, "true")
        for row, (label, (name, *line)) in enumerate(zip(labels, rows, strict=True)):
            y = 46 + 30 * row
            number = "" if name == label else f"{label}  "
            axes.text(0, y, number + visible(name, 13), va="center")
            axes.text(130 + (row + 0.5) * width, 24, visible(label, 10), ha="center")
            for column, count in enumerate(line):
                share, x = count / (sum(line) or 1), 130 + column * width
                shade = 0.06 + 0.54 * share
                axes.barh(y, width - 2, 28, left=x, color=MAIN, alpha=shade, linewidth=0)
                shown = f"{100 * share:.0f}"
                axes.text(x + width / 2, y, shown, va="center", ha="center", size=11)
        axes.set(xlim=(0, 400), ylim=(34 + 30 * len(names), -14))
        axes.set_axis_off()

    return _svg(words, draw, 60 + 30 * len(names))


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
        axes.figure.text(10 / WIDTH, 1 - 20 / height, visible(title, 50), weight="bold")
        axes.figure.text(10 / WIDTH, 10 / height, footnote, size=11)

    height = len(rows) * ROW + 90
    return _svg(words, draw, height, top=60, bottom=30)


def _tick(value: float, _: float) -> str:
    """A number at an axis: in thousands (k), millions (M) and so on where it is long."""
    from matplotlib.ticker import EngFormatter

    return format_number(value, 6) if abs(value) < 10_000 else EngFormatter(sep="")(value)


def beside(picture: str, title: str) -> str:
    """The picture with a title, narrow enough to stand beside another one where a page is wide."""
    svg = re.sub(
        r'viewBox="0 0 \d+ (\d+)" width="\d+"\s+height="\d+"',
        lambda match: f'viewBox="0 -26 {WIDTH} {int(match[1]) + 26}" width="{HALF}"',
        picture,
        count=1,
    )
    name = escape(visible(title, 44))
    style = 'style="font: bold 14px sans-serif; fill: #010200"'
    return svg.replace("</style>", f'</style><text x="10" y="-8" {style}>{name}</text>', 1)


def _svg(
    words: str, draw: "Draw", height: int, left: int = 10, top: int = 6, bottom: int = 6
) -> str:
    """What `draw` puts between the margins, as SVG that says `words` to those who do not see."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    text = StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "dslp", "text.parse_math": False}
    settings |= {"font.size": 13, "text.color": INK, "axes.labelcolor": INK, "axes.titlesize": 13}
    box = (left / WIDTH, bottom / height, 1 - (left + 10) / WIDTH, 1 - (top + bottom) / height)
    with rc_context(settings), warnings.catch_warnings():
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
    plain = re.sub(r" +$", "", text.getvalue(), flags=re.MULTILINE)  # as commit hooks want it
    return re.sub(r"^.*?<svg .*?>", lambda _: root, plain, count=1, flags=re.DOTALL)
