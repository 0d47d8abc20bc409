"""What the driver and the lister hold does not grow with the number of pictures."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from lightsr.cluster.listing import Listing
from lightsr.cluster.places import Folder, Found, Place
from lightsr.cluster.records import Records
from lightsr.cluster.tasks import Bundle, Outcome


class _Many(Folder):
    """A folder that says to hold any number of pictures."""

    count = 0

    def pictures(self, leave_out: Place) -> Iterator[Found]:
        for number in range(self.count):
            yield Found(f"{number // 1000:06}/{number:09}.png", number, "stamp")


def _held() -> int:
    gc.collect()  # which Python puts off the longer, the more the tests before have left
    # Neither other tests' threads, nor Python's table of names, which pathlib adds to.
    places = ("*/lightsr/*", "*/cluster/*", "*/json/*", "*/dataclasses.py", "<string>")
    only = [tracemalloc.Filter(True, place) for place in places]
    traces = tracemalloc.take_snapshot().filter_traces(only).statistics("filename")
    return sum(trace.size for trace in traces)


def _listing(source: Place, output: Place, records: Records, old: list[str]) -> Listing:
    return Listing(source, output, None, None, records, old, workers=2)


def _peak(folder: Path, count: int) -> int:
    """Return the bytes held at most in a pass over pictures that an earlier pass recorded."""
    source = _Many(folder / "in")
    _Many.count = count
    output = Folder(folder / f"out{count}")
    records = Records(output, "all", "options")
    peak = 0
    for _ in range(2):
        old = records.usable()
        new = records.begin(old)
        listing = _listing(source, output, records, old)
        tracemalloc.start()
        for bundle in listing.bundles():
            for task in Bundle.loaded(bundle.dumped()).tasks:
                new.account(Outcome(task, "done" if task.recorded is None else "kept", 1))
            if bundle.number % 50 == 0:
                peak = max(peak, _held())
        new.flush()
        tracemalloc.stop()
    again = _listing(source, output, records, records.usable())
    assert [task.recorded for task in again.tasks()].count(1) == count
    return peak


def test_a_pass_holds_no_more_of_many_pictures_than_of_few(tmp_path: Path) -> None:
    few, many = _peak(tmp_path, 3_000), _peak(tmp_path, 9_000)
    # What is still to be put and the bundles grow at first, up to a bound that neither may reach;
    # a name that was kept for each picture would be more than this.
    assert many - few < 50 * 6_000
    assert many < 1 << 20
