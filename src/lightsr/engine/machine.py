"""What this process may use of its machine: processor cores and memory."""

from __future__ import annotations

import os
import platform
import re
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path

from lightsr.errors import UserError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_UNKNOWN_MEMORY = 4 * 2**30
"""Assumed to be free where the system tells neither what is free nor what is installed."""

_TYPICAL_PROCESS = 200 * 2**20
"""Assumed to be in use by a process where the system does not tell."""

_thread = threading.local()


def available_cores(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may keep busy: its affinity, cut by group quotas.

    The environment's LIGHTSR_THREADS cuts it further.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for group in _groups("cpu", proc, root):
        quota = _core_quota(group)
        if quota is not None:
            cores = min(cores, max(1, ceil(quota)))
    wanted = os.environ.get("LIGHTSR_THREADS", "")
    return max(1, min(cores, int(wanted))) if wanted.isdecimal() else cores


def keep_to_one_core() -> None:
    """Let pictures that this thread enlarges from now on take one core: others have the rest."""
    _thread.keeps_to_one = True


def keeps_to_one_core() -> bool:
    """Return whether `keep_to_one_core` was called in this thread."""
    return getattr(_thread, "keeps_to_one", False)


@contextmanager
def scheduling_kept() -> Generator[None]:
    """Undo what the block does to the scheduling of this process's threads, old and new.

    SVT-AV1, run by root, makes its threads and the one that calls it real-time, which would starve
    everything else on the machine, and whatever this process starts would inherit it.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before = _scheduling()
    own = before[threading.get_native_id()]
    try:
        yield
    finally:
        # A thread may have been missed: where one was changed, all are seen again.
        for _ in range(3):
            changed = {
                thread: wanted
                for thread, now in _scheduling().items()
                if now != (wanted := before.get(thread, own))
            }
            if not changed:
                break
            for thread, (policy, priority) in changed.items():
                with suppress(OSError):  # It may have ended meanwhile.
                    os.sched_setscheduler(thread, policy, os.sched_param(priority))


def _scheduling() -> dict[int, tuple[int, int]]:
    """Return policy and priority of this process's threads (Linux).

    Others than the calling one may be missing: see `_threads`.
    """
    own = threading.get_native_id()
    found = {own: _scheduling_of(own)}
    for thread in _threads():
        with suppress(OSError):  # It may have ended meanwhile.
            found[thread] = _scheduling_of(thread)
    return found


def _threads() -> list[int]:
    """Return this process's threads (Linux); some are skipped where others end meanwhile."""
    return [int(task.name) for task in Path("/proc/self/task").iterdir()]


def _scheduling_of(thread: int) -> tuple[int, int]:
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority


def available_memory(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes of main memory that can be taken without driving others out.

    On Linux the kernel's own estimate (`MemAvailable`), cut by every control group's limit that
    applies to this process; elsewhere half of what is installed, where that can be found out.
    """
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(proc / "meminfo"), re.MULTILINE)
    free = int(found.group(1)) * 1024 if found else _installed_memory() // 2
    for group in _groups("memory", proc, root):
        room = _memory_room(group)
        if room is not None:
            free = min(free, room)
    return max(free, 0)


def used_memory(proc: Path = Path("/proc")) -> int:
    """Return the bytes of main memory that this process holds already."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", _text(proc / "self/status"), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else _TYPICAL_PROCESS


def memory_left(memory: int | None) -> int:
    """Return the bytes left of what the process may take altogether; None: half of what is free."""
    return available_memory() // 2 if memory is None else max(0, memory - used_memory())


def peak_memory(proc: Path = Path("/proc")) -> int | None:
    """Return the most bytes of main memory that this process ever held; None: not known here."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", _text(proc / "self/status"), re.MULTILINE)
    if found:
        return int(found.group(1)) * 1024
    if sys.platform != "darwin":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes there, unlike elsewhere


def processor_name(proc: Path = Path("/proc")) -> str:
    """Return what the processor calls itself, or its architecture."""
    found = re.search(r"^model name\s*:\s*(.+)$", _text(proc / "cpuinfo"), re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def parse_memory(text: str | int) -> int:
    """Return the bytes that `text` stands for: "2G", "512M", "1.5GB", "300MiB", or plain bytes.

    Units are powers of 1024. Raises `UserError` for anything else, zero included.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", str(text).upper())
    size = int(float(match.group(1)) * _UNITS[match.group(2)]) if match else 0
    if size < 1:
        raise UserError(f"{text!r} is no amount of memory; write it like 512M, 2G or 2000000000")
    return size


def format_memory(size: int) -> str:
    """Return `size` bytes in words: "380 MB", "1.9 GB" (units of 1024, as `parse_memory` reads)."""
    if size < 1000 * 2**20:
        return f"{max(1, round(size / 2**20))} MB"
    return f"{size / 2**30:.1f} GB"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _groups(controller: str, proc: Path, root: Path) -> Iterator[Path]:
    """Yield the control groups that this process is in, innermost first, of both versions.

    Inside a container the named path may lie outside what is mounted; the mount's own top then
    stands for the container.
    """
    for line in _text(proc / "self/cgroup").splitlines():
        number, names, path = line.split(":", 2)
        if number == "0" and not names:
            top = root
        elif controller in names.split(","):
            top = root / names if (root / names).is_dir() else root / controller
        else:
            continue
        inner = Path(path.lstrip("/"))
        yield from (top / part for part in [inner, *inner.parents] if (top / part).is_dir())


def _memory_room(group: Path) -> int | None:
    """Return what a group's limit leaves, counting cached file pages as free; None: no limit."""
    limit = _number(group / "memory.max")
    used = _number(group / "memory.current")
    if limit is None:
        limit = _number(group / "memory.limit_in_bytes")
        used = _number(group / "memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    stat = _text(group / "memory.stat")
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", stat, re.MULTILINE)
    return limit - used + (int(cached.group(1)) if cached else 0)


def _core_quota(group: Path) -> float | None:
    both = re.fullmatch(r"(\d+) (\d+)", _text(group / "cpu.max").strip())
    if both:
        return int(both.group(1)) / int(both.group(2))
    quota = _number(group / "cpu.cfs_quota_us")
    period = _number(group / "cpu.cfs_period_us")
    if quota is None or not period or quota < 1:
        return None
    return quota / period


def _installed_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 2 * _UNKNOWN_MEMORY
