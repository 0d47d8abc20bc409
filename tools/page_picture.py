"""Make the picture of the server's page in docs/server.md, with Chromium.

python tools/page_picture.py [-o docs/pictures/page.png]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

SAMPLES = Path(__file__).parents[1] / "samples"
NAMES = ("coffee.png", "chelsea.png", "astronaut.png")


def main() -> None:
    """Start a server, have the samples enlarged on its page, and write what that looks like."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/pictures/page.png"))
    options = parser.parse_args()
    serve = [sys.executable, "-m", "lightsr", "serve", "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[3]
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=os.environ.get("LIGHTSR_CHROMIUM") or shutil.which("chromium"),
                    args=["--no-sandbox", "--disable-gpu"],
                )
                page = browser.new_page(viewport={"width": 1180, "height": 760})
                page.goto(address)
                _compare(page)
                page.screenshot(path=options.output)
                browser.close()
        finally:
            server.terminate()


def _compare(page: Page) -> None:
    expect(page.get_by_role("radio")).to_have_count(3)
    page.locator("#files").set_input_files([SAMPLES / name for name in NAMES])
    expect(page.locator(".row[data-state=done]")).to_have_count(3, timeout=300_000)
    page.get_by_role("button", name="Compare chelsea.png").click()
    expect(page.get_by_role("slider")).to_be_enabled(timeout=60_000)


if __name__ == "__main__":
    main()
