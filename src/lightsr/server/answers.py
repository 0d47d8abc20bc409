"""Answers that are pictures."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lightsr.server.jobs import Job

MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "avif": "image/avif",
}
"""Of results, by format."""
_CHUNK = 256 << 10


class PictureAnswer(Response):
    """Sends the result of a job that is done, from its file."""

    background: BackgroundTask | None

    def __init__(self, job: Job, afterwards: Callable[[], None] | None = None) -> None:
        """`afterwards` is called when it is sent, or cannot be."""
        assert job.plan is not None
        assert job.done is not None
        self.status_code = 200
        self.background = None
        self._job = job
        self._afterwards = afterwards
        name = job.plan.format
        headers = {
            "Content-Type": MEDIA_TYPES[name],
            "Content-Length": str(job.done.bytes),
            "Content-Disposition": f'inline; filename="enlarged.{name}"',
            "Cache-Control": "no-store",
            "Server-Timing": (
                f"queue;dur={1000 * (job.began - job.admitted):.1f}, "
                f"work;dur={1000 * job.elapsed:.1f}"
            ),
        }
        if job.done.notices:
            notice = "; ".join(job.done.notices)
            headers["X-Lightsr-Notice"] = notice.encode("ascii", "replace").decode()
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        try:
            async with await anyio.open_file(self._job.result, "rb") as file:
                await send(
                    {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                )
                while chunk := await file.read(_CHUNK):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if self._afterwards is not None:
                self._afterwards()
