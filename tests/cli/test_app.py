from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from lightsr import __version__
from lightsr.cli import app, reporting
from lightsr.cli.app import VERBS, run
from lightsr.errors import LightsrError, UserError


def test_help_lists_every_verb_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for verb in VERBS:
        assert (f"  {verb.name} " in out) == (find_spec(verb.module) is not None)
    assert "  upscale " in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"lightsr {__version__}\n"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if find_spec(verb.module)])
def test_every_verb_has_help(verb: app.Verb, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb.name, "--help"]) == 0
    assert f"Usage: lightsr {verb.name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upscail"], "'upscail'"),
        (["--quick"], "no such option: --quick"),
        (["upscale", "--tile"], "'--tile' requires an argument"),
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("lightsr: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("two\nlines"), 2, "lightsr: two lines"),
        (LightsrError("failed"), 1, "lightsr: failed"),
        (MemoryError(), 1, "lightsr: not enough memory"),
        (KeyboardInterrupt(), 130, "lightsr: stopped; nothing half-written was left behind"),
        (OSError(28, "No space left", "x.json"), 1, "lightsr: x.json: No space left"),
        (ZeroDivisionError("oh"), 1, "lightsr: internal error: ZeroDivisionError: oh; please"),
    ],
)
def test_what_is_raised_becomes_a_line_and_a_status(
    error: BaseException,
    status: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def call() -> int:
        raise error

    monkeypatch.delenv("LIGHTSR_DEBUG", raising=False)
    assert reporting.run_guarded(lambda: call) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_a_traceback_is_there_for_who_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTSR_DEBUG", "1")
    assert reporting.run_guarded(lambda: 1 // 0) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "internal error" in err


def test_upscale_needs_no_torch_and_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\nfrom lightsr.cli.app import run\nassert run({}) == {}\n"
        "heavy = [m for m in {} if m in sys.modules]\nassert not heavy, heavy"
    )
    heavy = ["torch", "onnxruntime", "pyvips", "numpy", "PIL"]
    for arguments, status, never in (
        (["--help"], 0, heavy),
        (["upscale", "--help"], 0, heavy),
        (["upscale", "no such.png"], 2, ["torch"]),
    ):
        script = code.format(arguments, status, never)
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
