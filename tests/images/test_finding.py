"""From files, folders and patterns to pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from errors import one_line

from lightsr.errors import PictureError
from lightsr.images.files import PictureFile, picture_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in (
        "b.png",
        "a.JPG",
        "c.txt",
        ".hidden.png",
        ".lightsr-0123456789ab",
        "Thumbs.db",
        "sub/d.webp",
        "sub/deeper/e.TiFF",
        "sub/deeper/f.avif",
        ".git/g.png",
        "empty/none.md",
        "[x]/h.bmp",
        "x/i.gif",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def relative(found: list[PictureFile]) -> list[str]:
    return [path.as_posix() for _, path in found]


ALL = ["[x]/h.bmp", "a.JPG", "b.png", "sub/d.webp", "sub/deeper/e.TiFF", "sub/deeper/f.avif"]
ALL += ["x/i.gif"]


def test_a_folder_gives_all_its_pictures_in_order_with_their_places(tree: Path) -> None:
    found = picture_files([tree])
    assert relative(found) == ALL
    assert all(path == tree / inner for path, inner in found)


def test_files_are_taken_whatever_they_are_called(tree: Path) -> None:
    found = picture_files([tree / "c.txt", str(tree / "b.png"), tree / ".hidden.png"])
    assert relative(found) == ["c.txt", "b.png", ".hidden.png"]


def test_every_picture_once(tree: Path) -> None:
    found = picture_files([tree / "b.png", tree, tree / "x" / ".." / "x", tree / "sub" / "d.webp"])
    paths = [os.path.realpath(path) for path, _ in found]
    assert relative(found)[0] == "b.png"
    assert len(paths) == len(ALL) + 1, "a way around through .. is another name"
    assert len(picture_files([tree, tree, tree / "b.png"])) == len(ALL)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["b.png"]),
        ("*", ["a.JPG", "b.png"]),
        ("sub/*/*", ["deeper/e.TiFF", "deeper/f.avif"]),
        ("**/*.avif", ["sub/deeper/f.avif"]),
        ("**", ALL),
        ("?.[jJ][pP][gG]", ["a.JPG"]),
    ],
)
def test_patterns(tree: Path, pattern: str, expected: list[str]) -> None:
    inner = [name.removeprefix("sub/") for name in expected] if pattern[0] == "s" else expected
    assert relative(picture_files([f"{tree}/{pattern}"])) == inner


def test_relative_patterns(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert relative(picture_files(["*.png"])) == ["b.png"]
    assert relative(picture_files(["sub/*.webp"])) == ["d.webp"]
    assert relative(picture_files([Path()])) == ALL


def test_what_exists_is_no_pattern(tree: Path) -> None:
    assert relative(picture_files([tree / "[x]"])) == ["h.bmp"]


def test_an_excluded_folder_is_left_out(tree: Path) -> None:
    rest = [name for name in ALL if not name.startswith("sub/")]
    assert relative(picture_files([tree], exclude=tree / "sub")) == rest
    assert relative(picture_files([f"{tree}/**"], exclude=tree / "sub")) == rest
    assert relative(picture_files([tree], exclude=tree / "missing")) == ALL


def test_links_are_followed_and_loops_end(tree: Path) -> None:
    (tree / "sub" / "loop").symlink_to(tree)
    (tree / "sub" / "file.png").symlink_to(tree / "b.png")
    (tree / "sub" / "broken.png").symlink_to(tree / "missing.png")
    found = relative(picture_files([tree]))
    assert found == sorted([*ALL, "sub/file.png"], key=lambda name: Path(name).parts)


def test_a_folder_named_like_a_picture_is_a_folder(tree: Path) -> None:
    (tree / "album.png").mkdir()
    (tree / "album.png" / "one.png").write_bytes(b"x")
    assert "album.png/one.png" in relative(picture_files([tree]))


def test_odd_names(tmp_path: Path) -> None:
    names = ["grüße 日本.png", "a" * 251 + ".png", "line\nbreak.png"]
    try:
        (tmp_path / os.fsdecode(b"\xff\xfe.png")).write_bytes(b"x")
        names.append(os.fsdecode(b"\xff\xfe.png"))
    except OSError:
        pass  # this file system takes UTF-8 names only
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert {path.name for path, _ in picture_files([tmp_path])} == set(names)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "does not exist"),
        ("missing", "does not exist"),
        ("*.heic", "no picture matches"),
        ("empty", "holds no pictures"),
        ("a" * 300 + ".png", "too long"),
        ("nul\0.png", "cannot be read|does not exist"),
    ],
)
def test_inputs_without_pictures(tree: Path, name: str, reason: str) -> None:
    with one_line(PictureError, match=reason):
        picture_files([tree / "b.png", f"{tree}/{name}"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_cannot_be_read_is_said(tree: Path) -> None:
    (tree / "sub").chmod(0)
    try:
        with pytest.raises(PictureError, match="sub cannot be read: Permission denied"):
            picture_files([tree])
    finally:
        (tree / "sub").chmod(0o755)
