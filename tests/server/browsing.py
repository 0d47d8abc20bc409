"""A browser for the page's tests."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")

expect.set_options(timeout=20_000)


@contextmanager
def browsing() -> Generator[Browser]:
    """Run Chromium; skip where there is none.

    Playwright keeps an event loop in this thread meanwhile, so that no other test may need one.
    """
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        named = os.environ.get("LIGHTSR_CHROMIUM")
        found = named or next(filter(None, map(shutil.which, _NAMES)), None)
        if found is None and not own.exists():
            pytest.skip("needs Chromium: install it, or name it in LIGHTSR_CHROMIUM")
        browser = playwright.chromium.launch(executable_path=found, args=[*_ARGUMENTS])
        yield browser
        browser.close()


@contextmanager
def opening(
    browser: Browser, url: str, complaints: tuple[str, ...] = (), **options: Any
) -> Generator[Page]:
    """Open the page, and check at the end that it was quiet and asked nobody but its server.

    `complaints` are words of what the browser may write on its console, such as of a refusal.
    """
    said: list[str] = []
    asked: set[str] = set()
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page = context.new_page()
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    page.goto(url)
    expect(page.get_by_role("radio")).to_have_count(3)
    yield page
    context.close()
    assert [text for text in said if not any(word in text for word in complaints)] == []
    assert {urlsplit(address).netloc for address in asked} - {""} == {urlsplit(url).netloc}


def drop(page: Page, files: Mapping[str, bytes], event: str = "drop") -> None:
    """Drop or paste files on the page."""
    given = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
    page.evaluate(
        """([event, given]) => {
            const transfer = new DataTransfer();
            for (const [name, content] of given) {
                const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            const given_as = event === "paste" ? "clipboardData" : "dataTransfer";
            const Kind = event === "paste" ? ClipboardEvent : DragEvent;
            const facts = {[given_as]: transfer, bubbles: true, cancelable: true};
            document.body.dispatchEvent(new Kind(event, facts));
        }""",
        [event, given],
    )


def pixels(page: Page, id: str) -> bytes:
    """Return the RGBA samples of an image of the page."""
    encoded: str = page.evaluate(
        """(id) => {
            const image = document.getElementById(id);
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
            return btoa(Array.from(data, (one) => String.fromCharCode(one)).join(""));
        }""",
        id,
    )
    return base64.b64decode(encoded)


def row(page: Page, name: str) -> Any:
    """Return the row of a picture."""
    return page.get_by_role("listitem").filter(has_text=name)
