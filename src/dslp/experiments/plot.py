"""A comparison as a picture: an SVG file that reads in light and dark, and aloud."""

import math
from html import escape
from pathlib import Path

from dslp.errors import DslpError
from dslp.experiments.compare import Comparison
from dslp.experiments.params import shown

WIDTH, LEFT, RIGHT, ROW, TOP = 720, 190, 30, 34, 66  # pixels

STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328 }
  .small { font-size: 12px } .bold { font-weight: 600 }
  .axis { stroke: #59636e; stroke-width: 1 } .gain { stroke: #0969da; stroke-width: 3 }
  .dot { fill: #0969da } .enough { stroke: #bc4c00; stroke-width: 2; stroke-dasharray: 5 4 }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .axis { stroke: #9198a1 } .gain { stroke: #4493f8 }
    .dot { fill: #4493f8 } .enough { stroke: #f0883e } .page { fill: #0d1117 }
  }
"""


def draw(found: Comparison, path: Path) -> None:
    """Write the gains with their intervals, the baseline and the criterion, as SVG.

    Raises:
        DslpError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(svg(found), encoding="utf-8")
    except OSError as error:
        raise DslpError(f"{path} cannot be written: {error.strerror}") from None


def svg(found: Comparison) -> str:
    """The picture's text: what it shows is in its description as well."""
    params = found.model.params
    enough, gains = (
        params.criterion.improvement,
        [one for one in found.attempts if one.gain and math.isfinite(one.gain.share)],
    )
    ends = [0.0, enough] + [e for a in gains if a.gain for e in (a.gain.low, a.gain.high)]
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low)
    low, high = low - room, high + room

    def x(share: float) -> float:
        return round(LEFT + (share - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    bottom = TOP + ROW * len(gains) + 10
    title = f"Issue #{found.issue}: gain over the baseline in {params.metric.name}"
    told = "; ".join(found.sentences) or "Only the baseline was tried."
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img" '
        'aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(told)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{bottom + 44}"/>',
        f'<text class="bold" x="16" y="26">{escape(title)}</text>',
    ]
    for share, kind, text in ((0.0, "axis", "baseline"), (enough, "enough", "criterion")):
        at = x(share)
        anchor = "end" if share == min(0.0, enough) else "start"
        nudge = -6 if anchor == "end" else 6
        lines += [
            f'<line class="{kind}" x1="{at}" x2="{at}" y1="{TOP - 14}" y2="{bottom}"/>',
            f'<text class="small" x="{at + nudge}" y="{TOP - 16}" text-anchor="{anchor}">'
            f"{text}</text>",
            f'<text class="small" x="{at}" y="{bottom + 18}" text-anchor="middle">'
            f"{shown(share, params.criterion.by, '')}</text>",
        ]
    for place, one in enumerate(gains):
        assert one.gain is not None
        y = TOP + ROW * place + ROW // 2
        lines += [
            f'<text x="16" y="{y + 5}">{escape(_short(one.name))}</text>',
            f'<line class="gain" x1="{x(one.gain.low)}" x2="{x(one.gain.high)}" '
            f'y1="{y}" y2="{y}"/>',
            f'<circle class="dot" cx="{x(one.gain.share)}" cy="{y}" r="6"/>',
            f'<text class="small" x="{x(one.gain.share)}" y="{y - 10}" text-anchor="middle">'
            f"{escape(one.gain_shown)}</text>",
        ]
    lines.append(
        f'<text class="small" x="16" y="{bottom + 38}">Mean of {params.split.folds} folds and 95 % '
        "interval; to the right is better.</text>"
    )
    return "\n".join([*lines, "</svg>", ""])


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21]}…"
