"""An S3-compatible server on the loopback address."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def s3_server() -> Generator[Any]:
    """Serve; give the file system. The environment points this process and its children to it."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with patch.dict(os.environ, environment):
        system = fsspec.filesystem("s3", use_listings_cache=False)
        type(system).clear_instance_cache()
        try:
            yield fsspec.filesystem("s3", use_listings_cache=False)
        finally:
            type(system).clear_instance_cache()
            server.stop()
