"""`POST /v1/upscale`: the picture comes back as the command line would have made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from images.making import exif_block, noise, pil, profile, saved, says
from server.serving import Server, opened, picture, problem

from lightsr.cli.app import run

RICH = {
    "png": saved(pil(noise(11, 7, 4)), "PNG", exif=exif_block(6), icc_profile=profile()),
    "jpg": saved(pil(noise(11, 7)), "JPEG", exif=exif_block(6), icc_profile=profile()),
    "tiff": saved(pil(noise(11, 7)), "TIFF", compression="tiff_lzw", dpi=(300, 300)),
    "webp": saved(pil(noise(11, 7, 4)), "WEBP", exif=exif_block(3)),
}


def test_answers_are_the_files_that_the_command_line_writes(
    client: httpx.Client, tmp_path: Path
) -> None:
    for kind, content in RICH.items():
        (tmp_path / f"a.{kind}").write_bytes(content)
    assert run(["upscale", str(tmp_path), "--scale", "2", "--quiet"]) == 0
    for kind, content in RICH.items():
        answer = client.post("/v1/upscale", files={"file": content}, data={"scale": "2"})
        assert answer.status_code == 200
        written = tmp_path.with_name(f"{tmp_path.name}_x2") / f"a.{kind}"
        assert answer.content == written.read_bytes()


def test_metadata_are_kept(client: httpx.Client) -> None:
    answer = client.post("/v1/upscale?scale=3", content=RICH["jpg"])
    image = opened(answer.content)
    assert image.info["icc_profile"] == opened(RICH["jpg"]).info["icc_profile"]
    assert says(image.info["exif"].removeprefix(b"Exif\0\0"))[0x010F] == "Camera"


@pytest.mark.parametrize(
    ("asked", "size", "format"),
    [
        ({}, (48, 36), "PNG"),
        ({"scale": "3", "format": "webp", "quality": "100"}, (36, 27), "WEBP"),
        ({"width": "30"}, (30, 23), "PNG"),
        ({"height": "20", "format": "jpg", "quality": "50"}, (27, 20), "JPEG"),
        ({"width": "13", "height": "50", "format": "tiff"}, (13, 50), "TIFF"),
        ({"scale": "2", "model": "fdiwn", "ensemble": "true"}, (24, 18), "PNG"),
    ],
)
def test_options_mean_the_same_in_query_and_form(
    asked: dict[str, str], size: tuple[int, int], format: str, client: httpx.Client
) -> None:
    raw = client.post("/v1/upscale", params=asked, content=picture())
    form = client.post("/v1/upscale", data=asked, files={"file": ("../../x", picture(), "x/y")})
    both = client.post("/v1/upscale", params=asked, files={"file": picture()})
    assert (raw.status_code, form.status_code, both.status_code) == (200, 200, 200)
    assert raw.content == form.content == both.content
    image = opened(raw.content)
    assert (image.size, image.format) == (size, format)
    assert raw.headers["content-type"] == f"image/{format.lower()}"
    assert "work;dur=" in raw.headers["server-timing"]
    assert "../" not in str(form.headers)


def test_what_the_command_line_would_have_noted_is_said(client: httpx.Client) -> None:
    answer = client.post("/v1/upscale?width=100", content=picture())
    assert "bicubic does the rest" in answer.headers["x-lightsr-notice"]


def test_the_baseline_is_offered_and_does_as_the_command_line(
    client: httpx.Client, tmp_path: Path
) -> None:
    models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    assert (models["bicubic"]["trained"], models["fdiwn"]["trained"]) == (False, True)
    assert [one["scale"] for one in models["bicubic"]["scales"]] == [2, 3, 4]
    assert not any(one["default"] for one in models["bicubic"]["scales"])
    assert all(one["licence"] and one["psnr"]["Set5"] > 25 for one in models["fdiwn"]["scales"])
    (tmp_path / "a.png").write_bytes(picture())
    options = ["--scale", "3", "--model", "bicubic", "-o", str(tmp_path / "b.png"), "--quiet"]
    assert run(["upscale", str(tmp_path / "a.png"), *options]) == 0
    answer = client.post("/v1/upscale?scale=3&model=bicubic", content=picture())
    assert answer.content == (tmp_path / "b.png").read_bytes()


Sent = dict[str, Any]


@pytest.mark.parametrize(
    ("sent", "status", "kind", "words"),
    [
        ({"content": b""}, 422, "unreadable-picture", "there is no picture"),
        ({"content": b"%PDF-1.7"}, 422, "unreadable-picture", "a PDF document"),
        ({"content": picture()[:60]}, 422, "unreadable-picture", "cut short"),
        ({"files": {"other": picture()}}, 422, "unfit-options", 'the field "file"'),
        ({"data": {"file": "/etc/passwd"}, "files": {"x": b""}}, 422, "unfit-options", "file"),
        ({"data": {"scale": "2"}, "files": {"y": b"1", "z": b"2"}}, 400, "bad-request", ""),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, None, ""),
        ({"params": {"sacle": "2"}}, 422, "unfit-options", "did you mean 'scale'?"),
        ({"params": {"scale": "5"}}, 422, "unfit-options", "scale"),
        ({"params": {"scale": "2.0"}}, 422, "unfit-options", "whole number"),
        ({"params": {"scale": "2", "width": "90"}}, 422, "unfit-options", "exclude each other"),
        ({"params": {"width": "5"}}, 422, "unfit-options", "only enlarges"),
        ({"params": {"width": "9" * 400}}, 422, "unfit-options", "width"),
        ({"params": {"model": "../fdiwn"}}, 422, "unfit-options", "did you mean 'fdiwn'?"),
        ({"params": {"model": "carn"}}, 422, "unfit-options", "model: no model on this"),
        (
            {"params": {"model": "ecbsr-m4c8", "scale": "3"}},
            422,
            "unfit-options",
            "ecbsr-m4c8 enlarges 4 times, not 3",
        ),
        ({"params": {"format": "exe"}}, 422, "unfit-options", "one of: png"),
        ({"params": {"quality": "0"}}, 422, "unfit-options", "quality"),
        ({"params": {"ensemble": "maybe"}}, 422, "unfit-options", "true or false"),
        ({"params": {"width": "5000"}}, 413, "too-large", "5000 x 3750"),
        (
            {"params": {"format": "jpg"}, "content": saved(pil(noise(5, 5, 4)), "PNG")},
            422,
            "unfit-options",
            "transparency",
        ),
        (
            {"params": {"scale": "2"}, "data": {"scale": "2"}, "files": {"file": picture()}},
            422,
            "unfit-options",
            "given twice",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    sent: Sent, status: int, kind: str | None, words: str, client: httpx.Client
) -> None:
    given: Sent = sent if {"content", "files"} & set(sent) else {**sent, "content": picture()}
    answer = client.post("/v1/upscale", **given)
    assert words in problem(answer, status, kind or "bad-request")


def test_nothing_is_left_behind(server: Server, client: httpx.Client) -> None:
    client.post("/v1/upscale?scale=2", content=picture())
    client.post("/v1/upscale?scale=2", content=b"no picture")
    assert server.files() == []
