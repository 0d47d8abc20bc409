# docker build -t lightsr .
FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

# The package alone: source, weights, and what it takes to install them.
COPY pyproject.toml constraints.txt README.md LICENSE /build/
COPY src /build/src
RUN pip install --no-cache-dir --no-compile --constraint /build/constraints.txt '/build[serve]' \
    && rm -rf /build \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin lightsr

USER 10001:10001
EXPOSE 8000
# All that is written: pictures on their way, gone when the server stops.
ENV TMPDIR=/tmp LIGHTSR_SERVE_HOST=0.0.0.0 LIGHTSR_SERVE_PORT=8000
VOLUME /tmp
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lightsr", "serve"]
