"""Settings, the private folder, and the command that takes them."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

import lightsr.server
from lightsr.cli.app import run
from lightsr.errors import UserError
from lightsr.server.folder import PREFIX, private_folder
from lightsr.server.settings import Settings


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"port": 70_000}, "65535"),
        ({"queue": 0}, "--queue"),
        ({"job_seconds": 0}, "--job-seconds"),
        ({"grace_seconds": float("nan")}, "--grace-seconds"),
        ({"memory": "5M"}, "too little"),
        ({"memory": "much"}, "amount of memory"),
        ({"token": "short"}, "16 characters"),
        ({"token": "a token with a line\nbreak"}, "ASCII"),
        ({"origins": ("example.org",)}, "https://example.org"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Settings(**wrong)  # type: ignore[arg-type]


def test_the_machine_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers, threads in ((1, 1, 1), (2, 2, 1), (3, 2, 1), (16, 2, 8)):
        monkeypatch.setattr("lightsr.server.settings.available_cores", lambda cores=cores: cores)
        share = Settings().share()
        assert (share.workers, share.threads) == (workers, threads)
    assert Settings(workers=5, threads=3, memory="2G").share().memory == 2 << 30


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("sr.x", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    settings = Settings(host=host)
    assert settings.on_loopback is loopback
    assert bool(settings.allowed_hosts) is loopback


def test_the_folder_is_private_and_goes(tmp_path: Path) -> None:
    with private_folder(tmp_path) as first:
        assert first.stat().st_mode & 0o077 == 0
        (first / "a.in").write_bytes(b"x")
        with private_folder(tmp_path) as second:
            assert (first / "a.in").exists()
        assert not second.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    left, link, other = (tmp_path / f"{PREFIX}{name}" for name in "abc")
    left.mkdir()
    (left / "a.in").write_bytes(b"x")
    target = tmp_path / "precious"
    target.mkdir()
    link.symlink_to(target)
    other.write_bytes(b"a file")
    with private_folder(tmp_path):
        assert not left.exists()
    assert target.exists()
    assert link.is_symlink()
    assert other.exists()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder can be made"), private_folder(tmp_path / "x/y"):
        pass


def test_mistakes_end_the_command_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for arguments, words in (
            (("--port", str(taken.getsockname()[1])), "cannot be listened on"),
            (("--model", "fdiwnn"), "did you mean"),
            (("--token-file", str(tmp_path / "none")), "cannot be read"),
            (("--folder", str(tmp_path / "none"), "--port", "0"), "no folder can be made"),
        ):
            assert run(["serve", *arguments]) == 2
            said = capsys.readouterr().err
            assert words in said
            assert said.count("\n") == 1


def test_options_can_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIGHTSR_SERVE_TOKEN_FILE", str(tmp_path / "none"))
    assert run(["serve"]) == 2
    assert "none cannot be read" in capsys.readouterr().err
    monkeypatch.setenv("LIGHTSR_SERVE_QUEUE", "many")
    assert run(["serve"]) == 2
    said = capsys.readouterr().err
    assert "'--queue'" in said
    assert "LIGHTSR_SERVE_QUEUE is set" in said
    assert run(["serve", "--help"]) == 0
    assert "[env var: LIGHTSR_SERVE_ALLOW_HOST]" in " ".join(capsys.readouterr().out.split())


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("lightsr.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(lightsr.server, "run", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["serve"]) == 2
    said = capsys.readouterr().err
    assert "pip install 'lightsr[serve]'" in said
    assert said.count("\n") == 1
