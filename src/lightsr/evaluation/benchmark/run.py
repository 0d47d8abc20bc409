"""The whole benchmark: measuring what is not yet known, and writing the folder of results."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from lightsr.errors import LightsrError, UserError
from lightsr.evaluation.benchmark.cache import Cache, CacheError
from lightsr.evaluation.benchmark.contenders import Contender, contenders
from lightsr.evaluation.benchmark.cost import MakeGraph, Subject, Timer
from lightsr.evaluation.benchmark.crops import Named, compare_visually, shown
from lightsr.evaluation.benchmark.quality import Measurer, Picture, Step, pictures
from lightsr.evaluation.benchmark.results import Failure, Results, Row
from lightsr.evaluation.benchmark.settings import Crop, Settings
from lightsr.evaluation.evaluate import ImageScore

CACHE = "cache"
"""The sub-folder of the output that keeps the measurements."""


class Watcher(Protocol):
    """Is told how a benchmark goes on."""

    def note(self, text: str) -> None:
        """Hear of something that a person should know."""

    def start(self, steps: int, kept: int) -> None:
        """Hear how many measurements there are to make, and how many are known already."""

    def begin(self, name: str, left: float | None) -> None:
        """Take up the next, with the seconds that are left for all, once they can be told."""

    def finish(self, text: str | None) -> None:
        """Hear what came out; None where it was left out after an earlier failure."""


def measure(settings: Settings, *, watcher: Watcher, make_graph: MakeGraph) -> Results:
    """Measure everything that the cache in the output folder does not hold yet.

    Interrupted at any point, the next call goes on from there. What fails is listed in the
    results and the rest still done. `make_graph` serves timing where ONNX Runtime runs a network
    that no graph is shipped for. Raises `UserError` for networks, folders and pictures that are
    not there or unfit.
    """
    _require_sound(settings)
    everything = pictures(settings)
    to_show = shown(settings, everything)
    cache = Cache(settings.output / CACHE)
    cache.require_writable()
    found, skipped = contenders(settings)
    for one in skipped:
        watcher.note(f"{one.file} is skipped: {one.reason}")
    timer = Timer(settings, cache, make_graph)
    results = Results(settings, timer.machine, [Row(one) for one in found], skipped)
    first = {(p.set.name, p.pair.name) for p in everything}
    results.pictures = {
        name: sum(in_set == name for in_set, _ in first) for name in results.set_names
    }
    measurer = Measurer(settings, cache)
    run = _Run(settings, results, measurer, timer, watcher, {name for name, _ in to_show})
    steps = run.do(everything)
    _compare(results, measurer, steps, to_show)
    results.damaged = cache.damaged
    if cache.damaged:
        watcher.note(f"{cache.damaged} kept measurements were damaged and were made again")
    return results


def _require_sound(settings: Settings) -> None:
    names = [test_set.name for test_set in settings.sets]
    if not names:
        raise UserError("there is nothing to measure on; give --data")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two test sets are called {name}; name them with --data NAME=FOLDER")


def _compare(
    results: Results,
    measurer: Measurer,
    steps: list[Step],
    to_show: list[tuple[Named, Crop | None]],
) -> None:
    for scale in results.settings.scales:
        for name, crop in to_show:
            on_it = [
                step
                for step in steps
                if (step.picture.set.name, step.picture.pair.name) == name
                and step.contender.scale == scale
            ]
            if on_it:
                results.comparisons.append(compare_visually(on_it, crop, measurer.enlarged))


class _Run:
    """One pass over everything there is to measure."""

    def __init__(
        self,
        settings: Settings,
        results: Results,
        measurer: Measurer,
        timer: Timer,
        watcher: Watcher,
        shown: set[Named],
    ) -> None:
        self.settings = settings
        self.results = results
        self.measurer = measurer
        self.timer = timer
        self.watcher = watcher
        self.shown = shown
        self.failed: set[Contender | Subject] = set()

    def do(self, everything: list[Picture]) -> list[Step]:
        """Measure, fill the results in, and return the steps that have a score."""
        steps = self._steps(everything)
        scores = {
            step: self.measurer.kept(step, with_picture=self._is_shown(step)) for step in steps
        }
        times = {one: self.timer.kept(*one) for one in self._rounds()}
        given_up = {one[0] for one, value in times.items() if value and "gave_up" in value}
        to_score = [step for step, score in scores.items() if score is None]
        to_time = [o for o, value in times.items() if value is None and o[0] not in given_up]
        known = len(scores) + len(times) - len(to_score) - len(to_time)
        self.watcher.start(len(to_score) + len(to_time), known)
        self.clock = _Clock(
            sum(step.work for step in to_score) + sum(subject.work for subject, _ in to_time)
        )
        for step in to_score:
            scores[step] = self._score(step)
        self._fill_in(scores)
        with TemporaryDirectory(prefix="lightsr-") as folder:
            for one in to_time:
                times[one] = self._time(*one, Path(folder))
        for row in self.results.rows:
            subject = Subject(row.contender.network, row.contender.scale)
            values = [value for (s, _), value in times.items() if s == subject and value]
            row.cost = self.timer.outcome(values)
        return [step for step, score in scores.items() if score is not None]

    def _is_shown(self, step: Step) -> bool:
        return (step.picture.set.name, step.picture.pair.name) in self.shown

    def _steps(self, everything: list[Picture]) -> list[Step]:
        """Every contender on every picture, set by set, so that the first sets are done first."""
        return [
            Step(row.contender, picture)
            for test_set in self.settings.sets
            for row in self.results.rows
            if row.contender.measurable
            for picture in everything
            if picture.set == test_set and picture.scale == row.contender.scale
        ]

    def _rounds(self) -> list[tuple[Subject, int]]:
        """Every network once, then again: what else the machine does then falls on all alike."""
        subjects = dict.fromkeys(
            Subject(row.contender.network, row.contender.scale) for row in self.results.rows
        )
        return [(one, number) for number in range(self.settings.repeats) for one in subjects]

    def _score(self, step: Step) -> ImageScore | None:
        contender, picture = step.contender, step.picture
        name = f"{contender.name} on {picture.set.name}, {picture.pair.name}"
        self.watcher.begin(name, self.clock.left)
        score, text = None, None
        if contender not in self.failed:
            try:
                score = self.measurer.measure(step, keep_picture=self._is_shown(step))
                text = f"{name}: {score.psnr:.4f} dB ({score.seconds:.2f} s)"
            except CacheError:
                raise
            except (LightsrError, MemoryError) as error:
                text = self._fail(contender, contender.name, error)
        self.clock.did(step.work)
        self.watcher.finish(text)
        return score

    def _time(self, subject: Subject, number: int, folder: Path) -> dict[str, object] | None:
        name = f"{subject.network} x{subject.scale}, timed run {number + 1}"
        self.watcher.begin(name, self.clock.left)
        value, text = None, None
        if subject not in self.failed:
            try:
                value = dict(self.timer.time(subject, number, folder))
                if "gave_up" in value:
                    self.failed.add(subject)
                    text = f"{name}: given up after {value['gave_up']:g} s"
                else:
                    text = f"{name}: {value['seconds']:.2f} s"
            except CacheError:
                raise
            except (LightsrError, MemoryError) as error:
                text = self._fail(subject, name, error)
        self.clock.did(subject.work)
        self.watcher.finish(text)
        return value

    def _fail(self, what: Contender | Subject, name: str, error: Exception) -> str:
        self.failed.add(what)
        reason = str(error) or type(error).__name__
        self.results.failures.append(Failure(name, reason))
        return f"{name} failed: {reason}"

    def _fill_in(self, scores: dict[Step, ImageScore | None]) -> None:
        by_row: dict[tuple[Contender, str], list[ImageScore | None]] = {}
        for step, score in scores.items():
            by_row.setdefault((step.contender, step.picture.set.name), []).append(score)
        for row in self.results.rows:
            for name in self.results.set_names:
                images = by_row.get((row.contender, name), [])
                whole = [image for image in images if image is not None]
                if images and len(whole) == len(images):
                    row.images[name] = whole


class _Clock:
    """Tells the time that is left from the work that was done."""

    def __init__(self, work: float) -> None:
        self._work = work
        self._done = 0.0
        self._start = time.monotonic()

    @property
    def left(self) -> float | None:
        if not self._done:
            return None
        taken = time.monotonic() - self._start
        return taken / self._done * (self._work - self._done)

    def did(self, work: float) -> None:
        self._done += work
