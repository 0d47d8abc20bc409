"""A cluster of two machines, both of them this one, that loses one in the middle of a run."""

from __future__ import annotations

import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cluster.running import finish, make_pictures, recorded, results, start, until

pytest.importorskip("ray", reason="needs Ray, of the extra cluster")


@pytest.mark.slow
def test_a_lost_machine_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Else other work on this machine starves the workers.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    before = signal.getsignal(signal.SIGTERM)  # which Ray takes for itself
    ray_cluster: Any = import_module("ray.cluster_utils").Cluster
    source, out = tmp_path / "in", tmp_path / "out"
    make_pictures(source, 30, side=200)
    machines = ray_cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        other = machines.add_node(num_cpus=1)
        options = ("--model", "bicubic", "--scale", "4", "--address", machines.address)
        process = start(source, out, *options)
        until(lambda: len(results(out)) >= 4 or process.poll() is not None)
        machines.remove_node(other, allow_graceful=False)
        status, said = finish(process)
    finally:
        machines.shutdown()
        signal.signal(signal.SIGTERM, before)
    assert status == 0, said
    assert "30 pictures done\n" in said
    assert len(results(out)) == 30
    assert sorted(recorded(out)) == [f"p{number:03}.png" for number in range(30)]
