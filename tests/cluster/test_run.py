"""Whole runs, as a user starts them. Those that need Ray skip where it is not installed."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from cluster.running import (
    failures,
    finish,
    make_pictures,
    recorded,
    results,
    start,
    until,
    workers,
)
from process import mistake, run_lightsr

has_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray, of the extra cluster")
BICUBIC = ("--model", "bicubic", "--scale", "4")


def _left_behind() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("lightsr-serve-*"))


@has_ray
def test_two_workers_make_what_upscale_makes_and_report_what_fails(tmp_path: Path) -> None:
    """One run for many claims, since Ray takes long to start."""
    source, out, plain = tmp_path / "in", tmp_path / "out", tmp_path / "plain"
    make_pictures(source, 6)
    make_pictures(source, 3, inner="deep/é")
    (source / "bad.png").write_bytes(b"no picture")
    before = _left_behind()
    options = ("--model", "bicubic", "--scale", "2", "--format", "webp")
    process = start(source, out, *options, "--workers", "2")
    listening: set[str] = set()
    until(lambda: bool(workers(process)) or process.poll() is not None)
    for one in psutil.Process(process.pid).children(recursive=True):
        try:
            listening |= {c.laddr.ip for c in one.net_connections("tcp") if c.status == "LISTEN"}
        except psutil.Error:
            continue
    status, said = finish(process)
    assert status == 1, said
    assert "9 pictures done" in said
    assert f"lightsr: 1 of 10 pictures failed:\n  {source / 'bad.png'}" in said
    assert "Traceback" not in said
    assert "ray" not in said.lower()
    assert run_lightsr("upscale", source, "-o", f"{plain}/", "-q", *options).returncode == 1
    assert results(out) == results(plain) != {}
    assert list(failures(out / ".lightsr" / "failures-all.jsonl")) == ["bad.png"]
    assert len(recorded(out)) == len(set(recorded(out))) == 9
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert not (out / ".lightsr" / "parts" / "all").exists()
    assert _left_behind() <= before


@has_ray
@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    source, out, plain = tmp_path / "in", tmp_path / "out", tmp_path / "plain"
    make_pictures(source, 24, side=360)
    process = start(source, out, *BICUBIC, "--workers", "2")
    for count in (3, 9):
        until(lambda count=count: len(results(out)) >= count or process.poll() is not None)
        workers(process)[0].kill()
    status, said = finish(process)
    assert status == 0, said
    assert "24 pictures done\n" in said
    assert sorted(recorded(out)) == [f"p{number:03}.png" for number in range(24)]
    run_lightsr("upscale", source, "-o", f"{plain}/", "-q", *BICUBIC)
    assert results(out) == results(plain)
    assert not (out / ".lightsr" / "parts" / "all").exists()


@has_ray
@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    count = 60  # more than can be done while the test looks away
    paths = make_pictures(source, count, side=360)
    before = _left_behind()
    process = start(source, out, *BICUBIC, "--workers", "2")
    until(lambda: len(recorded(out)) >= 3 or process.poll() is not None)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    status, said = finish(process)
    assert status == -signal.SIGKILL, said
    kept = set(recorded(out))
    assert 3 <= len(kept) < count
    assert psutil.wait_procs(family, timeout=300)[1] == []  # Ray goes with the run
    times = {name: (out / name).stat().st_mtime_ns for name in kept}
    paths[int(min(kept)[1:4])].write_bytes(paths[-1].read_bytes())  # changed since
    status, said = finish(start(source, out, *BICUBIC, "--workers", "2"))
    assert status == 0, said
    assert f"{count - len(kept) + 1} pictures done, {len(kept) - 1} were done before" in said
    untouched = kept - {min(kept)}
    assert {name: (out / name).stat().st_mtime_ns for name in untouched} == {
        name: times[name] for name in untouched
    }
    assert (out / min(kept)).stat().st_mtime_ns != times[min(kept)]
    assert len(results(out)) == count
    assert sorted(recorded(out)) == [path.name for path in paths]
    (out / "p005.png").write_bytes(b"cut short")
    status, said = finish(start(source, out, *BICUBIC, "--workers", "2"))
    assert f"1 pictures done, {count - 1} were done before" in said
    assert _left_behind() <= before  # what the killed run left is gone too


@has_ray
@pytest.mark.slow
def test_from_bucket_to_bucket(tmp_path: Path) -> None:
    pytest.importorskip("moto.server", reason="needs moto's server, of the extra dev")
    pytest.importorskip("s3fs", reason="needs the extra s3")
    from cluster.s3serving import s3_server

    source, plain = tmp_path / "in", tmp_path / "plain"
    make_pictures(source, 4)
    make_pictures(source, 2, inner="deep")
    options = ("--model", "bicubic", "--scale", "2", "--format", "jpg")
    run_lightsr("upscale", source, "-o", f"{plain}/", "-q", *options)
    with s3_server() as system:
        system.mkdir("photos")
        system.put(f"{source}/", "photos/in/", recursive=True)
        system.pipe_file("photos/in/bad.png", b"no picture")
        command = ("s3://photos/in", "s3://photos/out", *options, "--workers", "2")
        status, said = finish(start(*command))
        assert (status, "6 pictures done\n" in said) == (1, True), said
        assert "s3://photos/in/bad.png" in said
        for name, content in results(plain).items():
            assert system.cat_file(f"photos/out/{name}") == content
        report = system.cat_file("photos/out/.lightsr/failures-all.jsonl").decode()
        assert report.count("\n") == 1
        status, said = finish(start(*command))
        assert "0 pictures done, 6 were done before" in said
        status, said = finish(start("s3://missing-bucket/in", tmp_path / "out", *BICUBIC))
        assert (status, said.count("\n")) == (2, 1)
        assert "s3://missing-bucket/in does not exist" in said


@has_ray
def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    make_pictures(source, 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "mine.png").write_bytes(b"")
    command = ("cluster", "upscale", "--model", "bicubic", source)
    for arguments, expected in (
        ((*command, out, "--model", "fdiwm"), "did you mean 'fdiwn"),
        ((*command, out, "--scale", "7"), "x7"),
        ((*command, out, "--tile", "x"), "--tile"),
        ((*command, out, "--format", "gif"), "cannot write"),
        ((*command, out, "--quality", "0"), "1..100"),
        ((*command, out, "--memory", "much"), "amount of memory"),
        ((*command, out, "--threads", "0"), "--threads"),
        ((*command, out, "--shard", "4/3"), "--shard"),
        ((*command, out, "--address", "ray://host:1"), "--address auto"),
        ((*command, source), "input folder itself"),
        ((*command, tmp_path / "foreign"), "--overwrite"),
        ((*command[:4], tmp_path / "empty", out), "holds no pictures"),
        ((*command[:4], tmp_path / "*.png", out), "no picture matches"),
        ((*command[:4], tmp_path / "none", out), "does not exist"),
        ((*command, "ftp://host/x"), "not known"),
        (("cluster", "downscale"), "downscale"),
    ):
        assert expected in mistake(capsys, *arguments)


@has_ray
@pytest.mark.slow
def test_an_address_without_a_cluster_is_one_line(tmp_path: Path) -> None:
    make_pictures(tmp_path / "in", 1)
    process = start(tmp_path / "in", tmp_path / "out", *BICUBIC, "--address", "127.0.0.1:1")
    status, said = finish(process)
    assert (status, said.count("\n")) == (2, 1), said
    assert "no Ray cluster can be joined at 127.0.0.1:1" in said


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    make_pictures(tmp_path / "in", 1)
    code = (
        "import sys; sys.modules['ray'] = None; sys.modules['ray.data'] = None\n"
        "from lightsr.cli import main; sys.argv = ['lightsr', 'cluster', 'upscale', 'in', 'out']\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "pip install 'lightsr[cluster]'" in done.stderr


def test_nothing_else_imports_ray() -> None:
    code = (
        "import sys, lightsr, lightsr.cli.app, lightsr.cli.upscale, lightsr.cli.cluster, "
        "lightsr.cluster.run; print([m for m in ('ray', 'pyarrow', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
