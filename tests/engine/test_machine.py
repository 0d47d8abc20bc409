from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from lightsr.engine import machine
from lightsr.engine.machine import (
    available_cores,
    available_memory,
    format_memory,
    parse_memory,
    peak_memory,
    processor_name,
    scheduling_kept,
    used_memory,
)
from lightsr.errors import UserError


def _proc(folder: Path, groups: str) -> Path:
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/meminfo").write_text("MemTotal: 16000 kB\nMemAvailable:    8000 kB\n")
    (folder / "proc/self/cgroup").write_text(groups)
    return folder / "proc"


def _group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_memory_without_groups_is_what_the_kernel_says(tmp_path: Path) -> None:
    assert available_memory(_proc(tmp_path, ""), tmp_path) == 8000 * 1024


def test_memory_is_cut_by_the_tightest_group_of_version_2(tmp_path: Path) -> None:
    proc, root = _proc(tmp_path, "0::/a/b\n"), tmp_path / "cgroup"
    _group(root / "a", memory__max=5_000_000, memory__current=3_000_000)
    (root / "a/memory.stat").write_text("anon 1\ninactive_file 400000\nactive_file 7\n")
    _group(root / "a/b", memory__max="max", memory__current=1000)
    assert available_memory(proc, root) == 2_400_000


def test_memory_is_cut_by_a_group_of_version_1(tmp_path: Path) -> None:
    # As inside a container: the path is the host's, and only the mount's top is there.
    proc, root = _proc(tmp_path, "4:memory:/docker/123\n"), tmp_path / "cgroup"
    _group(root / "memory", memory__limit_in_bytes=3_000_000, memory__usage_in_bytes=2_000_000)
    assert available_memory(proc, root) == 1_000_000


def test_no_memory_left_is_not_negative(tmp_path: Path) -> None:
    proc, root = _proc(tmp_path, "0::/\n"), tmp_path / "cgroup"
    _group(root, memory__max=1000, memory__current=3000)
    assert available_memory(proc, root) == 0


def test_memory_somewhere_else_than_linux(tmp_path: Path) -> None:
    assert available_memory(tmp_path, tmp_path) > 0
    assert used_memory(tmp_path) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="threads have policies of their own on Linux")
def test_scheduling_of_old_and_new_threads_is_kept() -> None:
    enough = threading.Event()
    old, new = (threading.Thread(target=enough.wait) for _ in range(2))
    threads = (old, new, threading.current_thread())

    def policies() -> list[int]:
        return [os.sched_getscheduler(thread.native_id or 0) for thread in threads]

    old.start()
    before = os.sched_getscheduler(0)
    try:
        with scheduling_kept():
            new.start()
            for thread in threads:
                os.sched_setscheduler(thread.native_id or 0, os.SCHED_BATCH, os.sched_param(0))
            assert policies() == [os.SCHED_BATCH] * 3
        assert policies() == [before] * 3
    finally:
        enough.set()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have policies of their own on Linux")
def test_scheduling_is_kept_where_the_system_skips_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does in its list where others end meanwhile."""
    before = os.sched_getscheduler(0)
    monkeypatch.setattr(machine, "_threads", list[int])
    with scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    assert os.sched_getscheduler(0) == before


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_cores_are_cut_by_a_quota(tmp_path: Path) -> None:
    proc, root = _proc(tmp_path, "0::/\n"), tmp_path / "cgroup"
    assert available_cores(proc, root) == len(os.sched_getaffinity(0))
    _group(root, cpu__max="50000 100000")
    assert available_cores(proc, root) == 1
    proc = _proc(tmp_path / "1", "1:cpu,cpuacct:/\n")
    _group(root / "cpu,cpuacct", cpu__cfs_quota_us=20000, cpu__cfs_period_us=100000)
    assert available_cores(proc, root) == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2G", 2 * 2**30),
        ("512M", 512 * 2**20),
        ("1.5 GiB", 3 * 2**29),
        ("300mb", 300 * 2**20),
        ("123456789", 123456789),
        (4096, 4096),
    ],
)
def test_amounts_of_memory(text: str | int, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "lots", "2X", "-1G", "0", "0G", "G", "1e9"])
def test_no_amount_of_memory(text: str) -> None:
    with pytest.raises(UserError, match="amount of memory"):
        parse_memory(text)


def test_memory_in_words() -> None:
    assert format_memory(380 * 2**20) == "380 MB"
    assert format_memory(2 * 2**30) == "2.0 GB"


def test_peak_memory_is_the_systems_high_water_mark(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n")
    assert peak_memory(tmp_path) == 2048 * 1024
    if sys.platform == "linux":
        block = bytearray(b"x") * (64 << 20)
        held = used_memory()
        del block
        peak = peak_memory()
        assert peak is not None
        assert peak > held - (4 << 20)  # the kernel counts in batches
        assert peak_memory(tmp_path / "none") is None


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some Chip 9000  \n")
    assert processor_name(tmp_path) == "Some Chip 9000"
    assert processor_name(tmp_path / "none")


def test_fewer_threads_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = available_cores(tmp_path, tmp_path)
    for asked, got in (("1", 1), ("0", 1), ("100000", everything), ("many", everything)):
        monkeypatch.setenv("LIGHTSR_THREADS", asked)
        assert available_cores(tmp_path, tmp_path) == got
