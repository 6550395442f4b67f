"""The pictures of the logbook in README.md, of what `make demo` ends at; they need Chromium.

make demo picture
"""

import base64
import io
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.generation import ROOT
from tests.browser import browser

PAGE = ROOT / "build" / "demo" / "site" / "logbook" / "asks" / "1.html"
CLIP = {"x": 0, "y": 0, "width": 1240, "height": 830, "scale": 1}  # as far as the graph
MOST = 150_000  # bytes of a picture


def main() -> None:
    """Write a picture of the first Ask's page for each scheme."""
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as tab:
        for scheme in ("light", "dark"):
            tab.open(PAGE.as_uri(), 1280, scheme)
            answer = tab.ask("Page.captureScreenshot", clip=CLIP)
            path = ROOT / "docs" / "pictures" / f"logbook-{scheme}.webp"
            path.parent.mkdir(exist_ok=True)
            Image.open(io.BytesIO(base64.b64decode(answer["data"]))).save(path, quality=80)
            assert path.stat().st_size <= MOST, path
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
