"""The page in a browser: the whole way of pictures, and everything that may go wrong on it."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from axe_playwright_python.sync_playwright import Axe
from images.making import noise, pil, saved
from playwright.sync_api import Browser, Page, Route, expect
from server.browsing import browsing, drop, opening, pixels, row
from server.serving import SLOW, Server, opened, picture, serving

from lightsr.weights.catalogue import best

TOKEN = "a-token-that-is-long"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with opening(browser, server.url) as page:
        yield page


def _finished(page: Page, count: int) -> None:
    expect(page.locator(".row[data-state=done]")).to_have_count(count)


def _compared(page: Page) -> None:
    expect(page.get_by_role("slider")).to_be_enabled()


def _download(page: Page, name: str) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=name).or_(page.get_by_role("button", name=name)).click()
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


def test_the_whole_way_from_drop_to_download(page: Page, client: httpx.Client) -> None:
    page.get_by_role("radio", name="3 times").check()
    files = {"a.png": picture(seed=1), "b.jpg": picture(seed=2, format="JPEG")}
    drop(page, files)
    drop(page, {"A.png": picture(seed=3)})
    _finished(page, 3)
    told = rf"12...9 to 36...27.*{best(3).network}.*KB.*.s"
    expect(row(page, "b.jpg")).to_contain_text(re.compile(told))
    wanted = [
        client.post("/v1/upscale?scale=3", content=content).content
        for content in (*files.values(), picture(seed=3))
    ]
    assert _download(page, "Download b_x3.jpg") == ("b_x3.jpg", wanted[1])
    name, content = _download(page, "Download all as zip")
    assert name == "lightsr.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a_x3.png", "b_x3.jpg", "A_x3 (2).png"]
        assert [archive.read(name) for name in archive.namelist()] == wanted
    expect(page).to_have_title("lightsr")


def test_before_is_bicubic_to_the_last_sample(page: Page, client: httpx.Client) -> None:
    drop(page, {"a.png": picture(40, 30)})
    _compared(page)
    for image, model in (("before", "bicubic"), ("after", best(4).network)):
        wanted = client.post(f"/v1/upscale?scale=4&model={model}", content=picture(40, 30))
        assert pixels(page, image) == opened(wanted.content).convert("RGBA").tobytes()
    page.get_by_alt_text("a.png, enlarged by bicubic").wait_for()


def test_formats_that_the_browser_cannot_show(page: Page) -> None:
    page.get_by_label("Format").select_option("TIFF")
    drop(page, {"grüße, 図.png": picture(20, 15)})
    _compared(page)
    assert len(pixels(page, "after")) == 80 * 60 * 4
    name, content = _download(page, "Download grüße, 図_x4.tiff")
    assert (name, opened(content).format) == ("grüße, 図_x4.tiff", "TIFF")
    page.get_by_label("Format").select_option("WebP")
    drop(page, {"a.tif": saved(pil(noise(9, 7)), "TIFF")})
    expect(page.locator(".row[data-thumbnail]")).to_have_count(2)  # That of a.tif is its result's.


def test_pasting(page: Page) -> None:
    drop(page, {"image.png": picture()}, "paste")
    _finished(page, 1)
    drop(page, {}, "paste")
    expect(page.get_by_role("alert")).to_contain_text("There is no picture in that")


def test_keys_and_pointers_move_the_divider_and_the_picture(page: Page) -> None:
    drop(page, {"a.png": picture(100, 80)})
    _compared(page)
    slider = page.get_by_role("slider", name="How much is shown of bicubic")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("51")
    expect(slider).to_have_attribute("aria-valuetext", "51 % bicubic, 49 % enlarged")
    page.keyboard.press("Home")
    expect(slider).to_have_value("0")

    stage, zoom = page.locator("#stage"), page.locator("#zoom")
    expect(zoom).to_have_text("100 %")
    stage.focus()
    for key in ("+", "+", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(zoom).to_have_text("225 %")
    places = [page.locator(f"#{id}").bounding_box() for id in ("before", "after")]
    assert places[0] == places[1]
    page.mouse.move(*_middle(page))
    page.mouse.wheel(0, -300)
    expect(zoom).to_have_text("410 %")
    moved = [page.locator(f"#{id}").bounding_box() for id in ("before", "after")]
    assert moved[0] == moved[1] != places[0]
    page.keyboard.press("0")
    expect(zoom).to_have_text("100 %")

    after = page.locator("#after")
    x, y = _middle(page)
    slider.fill("50")
    _drag(page, (x, y), (x + 100, y))
    expect(slider).to_have_value("75")
    expect(slider).to_be_focused()
    page.get_by_role("button", name="Zoom in").click(click_count=4, delay=20)
    before = after.bounding_box()
    _drag(page, (x - 200, y), (x - 150, y + 20))
    assert before is not None
    expect(slider).to_have_value("75")
    now = after.bounding_box()
    assert now is not None
    assert (now["x"] - before["x"], now["y"] - before["y"]) == pytest.approx((50, 20), abs=1)


def test_mistakes_are_told_and_can_be_put_right(page: Page) -> None:
    page.get_by_label("Format").select_option("JPEG")
    drop(
        page,
        {
            "text.png": b"no picture at all",
            "vast.png": picture(1200, 900),
            "seen.png": saved(pil(noise(5, 5, 4)), "PNG"),
        },
    )
    expect(row(page, "text.png")).to_contain_text("lightsr reads PNG, JPEG")
    expect(row(page, "vast.png")).to_contain_text("more than the limit of 4,000,000")
    expect(row(page, "seen.png")).to_contain_text("transparency")
    expect(page.locator("#news")).to_contain_text(".png: The ")
    page.get_by_label("Format").select_option("PNG")
    page.get_by_role("button", name="Try again seen.png").click()
    _finished(page, 1)
    page.get_by_role("button", name="Remove text.png").click()
    expect(page.get_by_role("listitem")).to_have_count(2)
    redo = page.get_by_role("button", name="Redo seen.png")
    expect(redo).to_be_hidden()
    page.get_by_role("radio", name="2 times").check()
    redo.click()
    expect(row(page, "seen.png")).to_contain_text(re.compile("to 10...10"))


def test_cancelling_gives_the_place_back(page: Page, server: Server) -> None:
    page.get_by_label("Model").select_option("fdiwn")
    drop(page, {"slow.png": SLOW})
    expect(row(page, "slow.png")).to_contain_text(re.compile("Enlarging, about .* left"))
    assert float(page.get_by_role("progressbar").get_attribute("value") or 0) < 1
    page.get_by_role("button", name="Cancel slow.png").click()
    expect(row(page, "slow.png")).to_contain_text("Cancelled")
    expect(page.get_by_role("button", name="Try again slow.png")).to_be_focused()
    for _ in range(100):
        if server.files() == []:
            break
        page.wait_for_timeout(100)
    assert server.files() == []


@pytest.mark.slow
def test_leaving_gives_the_place_back(browser: Browser, server: Server) -> None:
    with opening(browser, server.url) as page:
        page.get_by_label("Model").select_option("fdiwn")
        drop(page, {"slow.png": SLOW})
        expect(row(page, "slow.png")).to_contain_text("Enlarging")
        page.goto("about:blank")
        for _ in range(100):
            if server.files() == []:
                break
            page.wait_for_timeout(100)
        assert server.files() == []


def test_a_file_beyond_the_limit_is_not_sent(page: Page) -> None:
    page.route("**/v1/models", lambda route: _limited(route, 200))
    page.reload()
    expect(page.get_by_text("Up to 200")).to_be_visible()
    page.route("**/v1/jobs*", lambda route: pytest.fail("it was sent"))
    drop(page, {"a.png": picture(50, 50)})
    expect(row(page, "a.png")).to_contain_text("and this server takes 200 bytes at most")


def test_a_full_queue_is_waited_for(browser: Browser, server: Server) -> None:
    refused: list[str] = []

    def full(route: Route) -> None:
        if refused:
            route.fallback()
            return
        refused.append(route.request.url)
        problem = {"type": "urn:lightsr:problem:queue-full", "detail": "full", "status": 429}
        route.fulfill(
            status=429,
            body=json.dumps(problem),
            headers={"Content-Type": "application/problem+json", "Retry-After": "1"},
        )

    with opening(browser, server.url, ("429",)) as page:
        page.route("**/v1/jobs?*", full)
        drop(page, {"a.png": picture()})
        expect(row(page, "a.png")).to_contain_text(
            re.compile("as many pictures as it takes. Trying again in 1.s.")
        )
        _finished(page, 1)
        assert len(refused) == 1


def test_a_server_that_is_gone_and_comes_back(browser: Browser, server: Server) -> None:
    with opening(browser, server.url, ("ERR_FAILED",)) as page:
        page.route("**/v1/**", lambda route: route.abort())
        drop(page, {"a.png": picture()})
        expect(row(page, "a.png")).to_contain_text("The server does not answer. Trying again in")
        page.unroute_all()
        _finished(page, 1)
        page.route("**/v1/**", lambda route: route.abort())
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer; is it")
        page.unroute_all()
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.get_by_role("radio")).to_have_count(3)


@pytest.mark.slow
def test_the_token_is_asked_for_and_kept_by_nobody(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("token")
    with (
        serving(folder, "--backend", "onnxruntime", LIGHTSR_SERVE_TOKEN=TOKEN) as server,
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(server.url)
        dialog = page.get_by_role("dialog", name="This server asks for a token")
        for token in ("wrong", TOKEN):
            page.get_by_label("Access token").fill(token)
            page.keyboard.press("Enter")
            if token == "wrong":
                expect(dialog).to_contain_text("did not take that token")
        expect(dialog).to_be_hidden()
        drop(page, {"a.png": picture()})
        _finished(page, 1)
        _compared(page)
        kept = page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]")
        assert kept == ["", 0, 0]
        page.reload()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("alert")).to_contain_text("needs an access token")


def test_the_keyboard_reaches_everything_in_order(page: Page) -> None:
    drop(page, {"a.png": picture()})
    _compared(page)
    page.locator("h1").click()
    reached: list[str] = []
    for _ in range(17):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                    const it = document.activeElement;
                    return it.getAttribute("aria-label") ?? it.name ?? it.id ?? it.textContent;
                }"""
            )
        )
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        if reached[-1] == "Remove a.png":
            break
    said = " | ".join(reached)
    for one in ("4 times", "model", "format", "Picture: plus", "How much", "Zoom in", "Compare"):
        assert one in said
    assert reached[-3:] == ["Compare a.png", "Download a_x4.png", "Remove a.png"]
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()


@pytest.mark.parametrize(
    ("theme", "size"),
    [
        ("light", (1280, 800)),
        ("dark", (320, 640)),
        pytest.param("dark", (1280, 800), marks=pytest.mark.slow),
        pytest.param("light", (320, 640), marks=pytest.mark.slow),
    ],
)
def test_it_is_accessible_and_fits(
    theme: str, size: tuple[int, int], browser: Browser, server: Server
) -> None:
    width, height = size
    viewport = {"width": width, "height": height}
    with opening(browser, server.url, viewport=viewport, color_scheme=theme) as page:
        _check_looks(page, width)
        drop(page, {"a-long-name-" * 8 + ".png": picture(), "b.png": b"broken"})
        _compared(page)
        expect(page.locator(".row[data-state=failed]")).to_have_count(1)
        _check_looks(page, width)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        channels = [int(value) for value in re.findall(r"\d+", ground)]
        assert (sum(channels) > 384) == (theme == "light")


def _check_looks(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def test_a_folder_is_walked(page: Page, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("a.png", "inner/b.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(picture())
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(tmp_path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        if kind == "drop":
            expect(page.locator("body[data-dragging]")).to_be_visible()
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 300, "data": data})
    _finished(page, 2)
    expect(page.locator("body[data-dragging]")).to_have_count(0)


@pytest.mark.slow
def test_fingers_on_a_phone(browser: Browser, server: Server) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with opening(browser, server.url, device_scale_factor=3, **phone) as page:
        drop(page, {"a.png": picture(100, 80)})
        _compared(page)
        zoom, fingers = page.locator("#zoom"), page.context.new_cdp_session(page)
        before = zoom.inner_text()
        page.locator("#stage").scroll_into_view_if_needed()
        x, y = _middle(page)
        for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60)):
            points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(zoom).to_have_text(f"{3 * int(before.removesuffix(' %'))} %")
        places = [page.locator(f"#{id}").bounding_box() for id in ("before", "after")]
        assert places[0] == places[1]


@pytest.mark.slow
def test_fifty_pictures(browser: Browser, server: Server) -> None:
    waiting: list[int] = []
    with opening(browser, server.url) as page:
        page.evaluate(
            """() => {
                window.urls = new Set();
                const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
                URL.createObjectURL = (blob) => {
                    const url = make.call(URL, blob);
                    urls.add(url);
                    return url;
                };
                URL.revokeObjectURL = (url) => {
                    urls.delete(url);
                    revoke.call(URL, url);
                };
            }"""
        )
        drop(page, {f"{index}.png": picture(30, 20, index) for index in range(50)})
        while page.locator(".row[data-state=done]").count() < 50:
            busy = ".row:is([data-state=sending], [data-state=queued], [data-state=running])"
            waiting.append(page.locator(busy).count())
            page.wait_for_timeout(100)
        assert 1 <= max(waiting) <= 3
        _compared(page)
        _, content = _download(page, "Download all as zip")
        assert len(zipfile.ZipFile(io.BytesIO(content)).namelist()) == 50
        page.get_by_role("button", name="Clear").click()
        expect(page.get_by_text("Enlarge pictures two to four times")).to_be_visible()
        assert page.evaluate("urls.size") <= 1  # The zip's own goes later.
        assert server.files() == []


@pytest.mark.slow
def test_a_server_that_is_killed_in_the_middle(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    with serving(folder, "--workers", 1) as first:
        port = int(first.url.rsplit(":", 1)[1])
        with opening(browser, first.url, ("ERR_", "404")) as page:
            page.get_by_label("Model").select_option("fdiwn")
            drop(page, {"slow.png": picture(128, 128), "next.png": picture()})
            expect(row(page, "slow.png")).to_contain_text("Enlarging")
            first.process.kill()
            first.process.wait()
            expect(row(page, "slow.png")).to_contain_text("The server does not answer")
            with serving(folder, "--workers", 1, "--port", port):
                _finished(page, 2)


def _limited(route: Route, most: int) -> None:
    offer = route.fetch().json()
    offer["limits"]["upload_bytes"] = most
    route.fulfill(json=offer)


def _middle(page: Page) -> tuple[float, float]:
    box = page.locator("#stage").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()
