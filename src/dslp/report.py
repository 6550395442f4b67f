"""The one way to show findings: text that nobody vouches for, pages, and pictures.

A page is Markdown that GitHub and the project's site (MkDocs Material) both read. It is a template
of Jinja2, in which every expression is text: no character of a name or a value has a meaning in
Markdown or HTML, and what cannot be seen is spelt out.

A picture is an SVG file of Matplotlib in a folder that is named like its page, since GitHub shows
an image by its address and leaves out whatever is drawn within a page. Its colours follow
`prefers-color-scheme`, which an image takes from the page around it, so one file serves light and
dark; its letters are text. The figures that it shows stand beside it as text.
"""

import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from io import StringIO
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.errors import DslpError

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from matplotlib.axes import Axes

    Draw = Callable[[Axes], None]

LONGEST = 60  # characters of a name or a value
SENTENCE = 1_000  # characters of what a person wrote
UNWRITTEN = "to be written"  # stands for what a person has to write
SPECIAL = re.compile(  # emphasis and addresses within a line, lists at its beginning, and all else
    r"(?<!\w)_|_(?!\w)|:(?=[^\s\d])|^[+-](?=[\s+-]|$)|(?<=^\d)[.)](?=\s)|[!\"#$&*<>@[\\\]^`{|}~]"
)
Interval = tuple[str, str, float, float, float]  # a name, words, an estimate and its two ends
SVG = "http://www.w3.org/2000/svg"
WIDTH, ROW = 420, 44  # pixels, of a picture and of a row in it: letters stay legible on a telephone
# Matplotlib is given these names of colours, and the style sheet of a picture says what they are.
INK, SOFT, MAIN, OTHER = (f"#01020{number}" for number in range(4))


def visible(value: object, most: int = LONGEST) -> str:
    """Any text on one line, cut, with what cannot be seen spelt out; not yet escaped."""
    whole = str(value)
    cut = whole[:most] + "…" * (len(whole) > most)
    edges = re.sub(r"^ +| +$", lambda match: "␣" * len(match[0]), cut)
    return "".join(
        letter if letter.isprintable() or letter == "\u200d" else f"\\u{ord(letter):04x}"
        for letter in edges
    )


def markdown(value: object, most: int = LONGEST) -> str:
    """Any text as it can stand in a line or a cell of Markdown, or in HTML."""
    return SPECIAL.sub(lambda match: f"&#{ord(match[0])};", visible(value, most))


def share(count: float, total: float) -> str:
    """A part of a whole in percent, which is 0 or 100 only where it is."""
    percent = 100 * count / total
    if 0 < percent < 0.05 or 99.95 <= percent < 100:
        return "< 0.1 %" if percent < 1 else "> 99.9 %"
    return f"{percent:.1f} %"


def number(value: Any, digits: int = 4) -> str:
    """A number to so many digits, whole ones in full; too short for what threads sum otherwise."""
    if isinstance(value, int):
        return f"{value:,}"
    plain = float(f"{float(value):.10g}")
    if plain.is_integer() and abs(plain) < 1e15:
        return f"{int(plain):,}"
    if not 1e-4 <= abs(plain) < 1e15:
        return f"{plain:.{digits}g}"
    places = max(0, digits - 1 - floor(log10(abs(plain))))
    shown = f"{plain:,.{places}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def is_written(text: str) -> bool:
    """Whether a person wrote the text: it is not what `dslp new` or `data schema` put there."""
    return text != UNWRITTEN and not _scaffold().fullmatch(text)


def render(template: str, **context: Any) -> str:
    """The text of a page; a name that its template has and `context` has not is an error."""
    text = _templates().get_template(template).render(context)
    return re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"


def save(page: Path, text: str, pictures: Mapping[str, str] | None = None) -> None:
    """Write a page, and its pictures by their names into a folder that is named like it.

    Pictures of a page that was there before are removed.

    Raises:
        DslpError: a file cannot be written.
    """
    folder = page.with_suffix("")
    written = {folder / f"{name}.svg": drawn for name, drawn in (pictures or {}).items() if drawn}
    try:
        for path, content in (written | {page: text}).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_text(content, encoding="utf-8", newline="\n")
            part.replace(path)
        for path in set(folder.glob("*.svg") if pictures is not None else ()) - set(written):
            if 'data-by="dslp"' in path.read_text(encoding="utf-8")[:400]:
                path.unlink()
    except OSError as error:
        raise DslpError(f"{page} cannot be written: {error.strerror}") from None


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
                shown = f"{share(value, 1)} {'' if row else series[bar]}".strip()
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
    return _themed(ET.fromstring(text.getvalue()), words, height)


def _themed(root: ET.Element, words: str, height: int) -> str:
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    for node in root.iter():
        given = node.get("style", "")
        if found := re.findall(r"(fill|stroke): (#01020\d)", given):
            node.set("class", " ".join(f"{kind[0]}{colour[-1]}" for kind, colour in found))
            node.set("style", re.sub(r"(fill|stroke): #01020\d;?", "", given))
    root.attrib |= {"width": f"{WIDTH}", "height": f"{height}", "role": "img", "data-by": "dslp"}
    root.set("aria-label", visible(words, SENTENCE))
    style = files("dslp").joinpath("templates", "picture.css").read_text(encoding="utf-8")
    for place, (name, content) in enumerate(
        (("title", visible(words, SENTENCE)), ("style", style))
    ):
        root.insert(place, ET.Element(f"{{{SVG}}}{name}"))
        root[place].text = content
    return ET.tostring(root, encoding="unicode") + "\n"


@cache
def _scaffold() -> re.Pattern[str]:
    """Any sentence of the files that `dslp new` writes, whatever names it put into it."""
    folder = files("dslp").joinpath("scaffold", "skeletons")
    names = ("dataset/datasheet.md", "dataset/schema.yml", "model/params.yml")
    text = "\n".join(folder.joinpath(f"{name}.txt").read_text(encoding="utf-8") for name in names)
    lines = [re.sub(r"^[ -]*(\w+: )?| +#.*$", "", line) for line in text.split("\n")]
    sentences = [re.escape(line) for line in lines if " " in line and line[0] not in "#{|"]
    return re.compile(
        "|".join(re.sub(r"\\\{\\\{.*?\\\}\\\}", ".*", sentence) for sentence in sentences)
    )


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def safe(value: object, most: int = LONGEST) -> "Markup":
        return value if isinstance(value, Markup) else Markup(markdown(value, most))

    def stated(value: str) -> "Markup":
        return safe(value, SENTENCE) if is_written(value) else Markup("<em>not written yet</em>")

    lines: Any = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    templates = Environment(loader=PackageLoader("dslp"), autoescape=True, finalize=safe, **lines)
    sentence, percent = partial(safe, most=SENTENCE), partial(share, total=1)
    templates.filters.update(number=number, percent=percent, sentence=sentence, stated=stated)
    return templates
