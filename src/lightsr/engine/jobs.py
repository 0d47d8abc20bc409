"""Which files to enlarge and where each result goes, decided and checked before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightsr.engine.shard import Shard
from lightsr.engine.video.containers import (
    CONTAINERS,
    SEARCHED_EXTENSIONS,
    container_for,
    is_video,
)
from lightsr.engine.video.library import HINT, has_av
from lightsr.errors import PictureError, UserError, VideoError
from lightsr.images.files import picture_files
from lightsr.images.formats import FORMATS, output_format

PIPE = "-"
"""Standard input as an input, standard output as an output."""
_LONGEST_NAME = 255
"""Bytes of a file's name, on nearly every file system."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture or video to enlarge.

    `source` None is standard input, `target` None standard output; neither is a video.
    """

    source: Path | None
    target: Path | None
    is_video: bool = False

    @property
    def name(self) -> str:
        """The input's name in messages."""
        return "standard input" if self.source is None else str(self.source)


@dataclass(frozen=True, slots=True)
class Jobs:
    """What one command is to do."""

    todo: list[Job]
    done: int
    """Inputs whose output is there already, from a run before."""
    single: bool
    """One file was asked for, and not a folder that happens to hold one."""
    left_out: int = 0
    """Videos that folders and patterns hold, where videos cannot be read."""
    elsewhere: int = 0
    """Inputs that are in other shards."""


def plan_jobs(
    inputs: Sequence[str],
    output: str | None,
    *,
    suffix: str,
    format: str | None,
    overwrite: bool,
    shard: Shard | None = None,
) -> Jobs:
    """Decide what goes where.

    `inputs` are files, folders (recursive), globs, or "-" alone. `output` is a file for one input
    file (a folder where it is one, or ends in a slash), a folder for anything else, "-" standard
    output, None beside each input: `<stem><suffix>.<ext>` for files, the folder
    `<folder><suffix>` for folders. Inside folders the structure is mirrored. An existing output
    counts as done, since outputs appear whole, unless `overwrite`. `format` is one of pictures or
    one of videos; the others keep theirs. `shard` leaves the inputs of other shards out.

    Raises `UserError` and its kinds for inputs that are not there, a format that cannot be
    written, an existing output of a single job, two results of the same name, a result in the
    place of an input, and a folder that cannot be written to.
    """
    if "" in inputs or output == "":
        raise UserError("an input or output has an empty name")
    if format is not None and format not in CONTAINERS:
        output_format(None, format, "png")
    if shard is not None and PIPE in (*inputs, output):
        raise UserError("a single picture through a pipe has no shards; leave --shard out")
    if PIPE in inputs:
        return _plan_pipe(inputs, output, format, overwrite=overwrite)
    found, left_out = _without_unreadable(_find(inputs, output))
    _require_some_of_format(found, format)
    single = len(inputs) == 1 and len(found) == 1 and found[0].folder is None
    if output == PIPE:
        if not single:
            raise UserError("standard output holds one picture; give a folder with -o")
        if found[0].is_video:
            raise VideoError(f"{found[0].path} is a video; name a file for it with -o")
        return Jobs([Job(found[0].path, None)], 0, single=True)
    if output is None:
        jobs = [Job(one.path, _beside(one, suffix, format), one.is_video) for one in found]
    elif single and not _is_folder(output):
        _require_agreement(Path(output), format, video=found[0].is_video)
        jobs = [Job(found[0].path, Path(output), found[0].is_video)]
    else:
        jobs = _into(Path(output), found, format)
    _refuse_clashes(jobs)
    count = len(jobs)
    if shard is not None:
        single = False
        jobs = [job for one, job in zip(found, jobs, strict=True) if shard.takes(one.inner)]
    todo = jobs if overwrite else [job for job in jobs if not _exists(job.target)]
    if single and not todo:
        raise _existing(jobs[0].target)
    for folder in {job.target.parent for job in todo if job.target is not None}:
        _require_writable(folder)
    return Jobs(todo, len(jobs) - len(todo), single, left_out, count - len(jobs))


@dataclass(frozen=True, slots=True)
class _Found:
    """A picture or video, the input it was found by, and its path inside of that."""

    input: str
    path: Path
    inner: Path
    is_video: bool

    @property
    def folder(self) -> Path | None:
        return Path(self.input) if Path(self.input).is_dir() else None

    def inner_as(self, format: str | None) -> Path:
        """Return the inner path with the extension of what will be written."""
        if self.is_video:
            named = format if format in CONTAINERS else None
            return self.inner.with_suffix(f".{container_for(None, named, self.path).name}")
        format = None if format in CONTAINERS else format
        return enlarged_name(self.inner, format)


def enlarged_name(inner: Path, format: str | None) -> Path:
    """Return the path of a picture's result inside the output folder, from its own in the input.

    The extension is kept where it is one of the format that will be written: `format`, or the
    picture's own by its extension. Raises `PictureError` for a format that cannot be written.
    """
    extension = inner.suffix.lower()
    own = next((f.name for f in FORMATS.values() if extension in f.extensions), "")
    wanted = output_format(None, format, own)
    if extension in wanted.extensions:
        return inner
    return inner.with_name(inner.stem + wanted.extensions[0])


def _find(inputs: Sequence[str], output: str | None) -> list[_Found]:
    """Return the pictures behind the inputs, each once, without those in the output folder."""
    exclude = None
    if output is not None and output != PIPE and Path(output).is_dir():
        exclude = Path(output)
        for given in inputs:
            if Path(given).is_dir() and exclude.samefile(given):
                raise PictureError(f"{output} is the input folder itself; choose another -o")
    found: dict[str, _Found] = {}
    for given in inputs:
        for path, inner in picture_files([given], exclude=exclude, also=SEARCHED_EXTENSIONS):
            found.setdefault(_key(path), _Found(given, path, inner, is_video(path)))
    return list(found.values())


def _without_unreadable(found: list[_Found]) -> tuple[list[_Found], int]:
    """Leave out videos that were not named themselves where PyAV is missing, and count them."""
    if has_av():
        return found, 0
    kept = [one for one in found if not one.is_video or Path(one.input) == one.path]
    if not kept:
        raise VideoError(f"{found[0].input} holds videos only, which need PyAV: {HINT}")
    return kept, len(found) - len(kept)


def _require_some_of_format(found: list[_Found], format: str | None) -> None:
    """Raise for a format of videos where there are only pictures, or the other way round."""
    if format in CONTAINERS and not any(one.is_video for one in found):
        output_format(None, format, "png")
    elif format is not None and all(one.is_video for one in found):
        container_for(None, format)


def _plan_pipe(
    inputs: Sequence[str], output: str | None, format: str | None, *, overwrite: bool
) -> Jobs:
    if len(inputs) > 1:
        raise UserError("standard input must be the only input")
    if output in (None, PIPE):
        return Jobs([Job(None, None)], 0, single=True)
    assert output is not None
    if _is_folder(output):
        raise PictureError(f"{output} is a folder; name a file for what comes from standard input")
    target = Path(output)
    _require_agreement(target, format)
    if _exists(target) and not overwrite:
        raise _existing(target)
    _require_writable(target.parent)
    return Jobs([Job(None, target)], 0, single=True)


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def _require_agreement(target: Path, format: str | None, *, video: bool = False) -> None:
    """Raise where a file's extension and the format asked for speak of different formats."""
    if video:
        held = container_for(target, None)
        if format is not None and target.suffix and held.name != format:
            raise VideoError(f"{target} is named like {held.name}, not like {format}")
        return
    named = output_format(target, None, "png")
    if format is not None and target.suffix and output_format(None, format, "png") != named:
        raise PictureError(f"{target} is named like {named.title}, not like {format}")


def _beside(found: _Found, suffix: str, format: str | None) -> Path:
    inner = found.inner_as(format)
    if found.folder is None:
        return found.path.with_name(_short_enough(inner.stem, suffix + inner.suffix))
    folder = found.folder
    if folder.name in ("", ".."):  # "." or "/" or "..", whose name stands in no path
        folder = folder.resolve()
    return folder.with_name(folder.name + suffix) / inner


def _short_enough(stem: str, end: str) -> str:
    """Return `stem` + `end`, with as much of the stem as file systems take."""
    while len(os.fsencode(stem + end)) > _LONGEST_NAME and len(stem) > 1:
        stem = stem[:-1]
    return stem + end


def _into(folder: Path, found: list[_Found], format: str | None) -> list[Job]:
    if folder.exists() and not folder.is_dir():
        raise PictureError(f"{folder} is a file; several pictures need a folder with -o")
    return [Job(one.path, folder / one.inner_as(format), one.is_video) for one in found]


def _refuse_clashes(jobs: list[Job]) -> None:
    sources = {_key(job.source) for job in jobs}
    by_target: dict[str, Job] = {}
    for job in jobs:
        key = _key(job.target)
        if key in sources:
            raise PictureError(f"{job.target} would be written over an input; choose another -o")
        other = by_target.setdefault(key, job)
        if other is not job:
            raise PictureError(
                f"{other.source} and {job.source} would both be written to {job.target}; "
                f"enlarge them one by one"
            )


def _key(path: Path | None) -> str:
    """Return what tells files apart, whatever way there a path describes."""
    return "" if path is None else os.path.normcase(path.resolve())


def _exists(path: Path | None) -> bool:
    return path is not None and os.path.lexists(path)


def _existing(path: Path | None) -> PictureError:
    return PictureError(f"{path} exists already; add --overwrite to replace it")


def _require_writable(folder: Path) -> None:
    """Raise unless files can be made in `folder`, which need not exist yet."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise PictureError(f"{there} is a file, so {folder} cannot be a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PictureError(f"{there} cannot be written to: permission denied")
