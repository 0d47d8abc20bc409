"""Ray, started on this machine for a run or joined where it is already, and quiet."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightsr.errors import BackendError, LightsrError, UserError
from lightsr.server.folder import private_folder

_OBJECT_STORE = 96 << 20
"""Bytes: names travel through it, and never a picture."""
_STDERR = 2
_PATIENCE = 10
"""Seconds for a cluster's address to answer."""


def require_ray() -> None:
    """Raise `BackendError` where Ray Data is not installed."""
    for package in ("ray", "pyarrow", "fsspec"):
        if find_spec(package) is None:
            raise BackendError(
                f"a cluster needs {package}, which is not installed: pip install 'lightsr[cluster]'"
            )


@contextmanager
def session(address: str | None, cores: int, gpus: int, *, verbose: bool) -> Generator[None]:
    """Have Ray run: at an address, or, for None, on this machine with so many cores and GPUs.

    A Ray that this process has joined before is used, and left running. Raises `UserError` for an
    address where there is none.
    """
    ray = _import(local=address is None)
    with contextlib.ExitStack() as stack:
        if not verbose:
            stack.enter_context(_hushed())
        if not ray.is_initialized():
            if address is not None:
                stack.enter_context(_left(ray))
                _join(ray, address, verbose)
            else:
                folder = stack.enter_context(private_folder(Path(tempfile.gettempdir())))
                stack.enter_context(_left(ray))
                _start(ray, folder, cores, gpus, verbose)
        stack.enter_context(_context(verbose))
        yield


@contextmanager
def _left(ray: Any) -> Generator[None]:
    try:
        yield
    finally:
        ray.shutdown()


def rejoin(address: str, *, verbose: bool) -> None:
    """Leave a cluster, with all that is at work there, and join it again."""
    ray = import_module("ray")
    ray.shutdown()
    _join(ray, address, verbose)


def places(threads: int, gpus: int) -> list[int]:
    """Return how many workers each living machine of the cluster has room for."""
    ray: Any = import_module("ray")
    rooms: list[int] = []
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            rooms.append(int(has.get("CPU", 0) // threads))
            if gpus:
                rooms[-1] = min(rooms[-1], int(has.get("GPU", 0) // gpus))
    return [room for room in rooms if room]


def _import(*, local: bool) -> Any:
    # All of these are read when Ray is imported, or by what it starts.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Else a thread of a pass that was given up would start Ray again by itself.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if local:
        # A Ray for one machine, as elsewhere than on Linux, keeps to the loopback address.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.setdefault("RAY_enable_metrics_collection", "0")
        # Else workers would give way to everything else on the machine, unlike other commands.
        os.environ.setdefault("RAY_worker_niceness", "0")
    import_module("ray.data")
    return import_module("ray")


def _start(ray: Any, folder: Path, cores: int, gpus: int, verbose: bool) -> None:
    try:
        with _handlers_kept():
            ray.init(
                address="local",  # whatever RAY_ADDRESS says
                num_cpus=cores,
                num_gpus=gpus,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE,
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
                **_said(verbose),
            )
    except Exception as error:  # of many kinds, where the machine is short of something
        why = " ".join(str(error).split())
        raise LightsrError(f"Ray cannot be started on this machine: {why}") from error


def _join(ray: Any, address: str, verbose: bool) -> None:
    host, _, port = address.rpartition(":")
    try:
        if port.isdecimal():  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        with _handlers_kept():
            ray.init(address=address, **_said(verbose))
    except (ValueError, RuntimeError, OSError, OverflowError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"no Ray cluster can be joined at {address}: {why}") from error


def _said(verbose: bool) -> dict[str, Any]:
    if verbose:
        return {"log_to_driver": True}
    return {"log_to_driver": False, "logging_level": logging.CRITICAL}


@contextmanager
def _context(verbose: bool) -> Generator[None]:
    """Set Ray Data up for names instead of data, without a word from it."""
    current: Any = import_module("ray.data").DataContext
    before = current.get_current()
    context = before.copy()
    # Else it would wait for megabytes of names before it handed any out.
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    current._set_current(context)
    log = logging.getLogger("ray")
    levels = {one: one.level for one in (log, logging.getLogger("ray.data"))}
    try:
        with warnings.catch_warnings():
            if not verbose:
                warnings.simplefilter("ignore")
                for one in levels:
                    one.setLevel(logging.CRITICAL + 1)
            yield
    finally:
        current._set_current(before)
        for one, level in levels.items():
            one.setLevel(level)


@contextmanager
def _hushed() -> Generator[None]:
    """Send nowhere what is written to standard error but by Python, as Ray's core does."""
    stream = sys.stderr
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        number = -1
    if number != _STDERR:
        yield
        return
    stream.flush()
    kept = os.dup(_STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1, encoding=stream.encoding)
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = stream
        os.dup2(kept, _STDERR)
        os.close(kept)


@contextmanager
def _handlers_kept() -> Generator[None]:
    """Keep what signals do, which Ray changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
