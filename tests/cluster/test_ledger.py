from __future__ import annotations

from lightsr.cluster.ledger import Ledger
from lightsr.cluster.tasks import Outcome, Task


def _outcome(position: int) -> Outcome:
    return Outcome(Task(position, f"{position}.png", 1, "", ""), "done", 1)


def test_a_bundle_that_is_handed_out_again_goes_on_where_it_was() -> None:
    ledger = Ledger()
    assert ledger.begin(7) == (set(), set())
    ledger.started(7, 70)
    ledger.finished(7, _outcome(70))
    ledger.started(7, 71)
    assert ledger.begin(7) == ({70}, set())
    ledger.finished(7, _outcome(70))  # told twice
    assert ledger.take() == [_outcome(70)]
    assert ledger.take() == []


def test_a_finished_bundle_is_known_as_such() -> None:
    ledger = Ledger()
    ledger.begin(7)
    ledger.end(7)
    assert ledger.begin(7) is None


def test_a_picture_that_workers_die_of_is_named() -> None:
    ledger = Ledger()
    for _ in range(3):
        begun = ledger.begin(7)
        assert begun == (set(), set())
        ledger.started(7, 70)
    assert ledger.begin(7) == (set(), {70})
