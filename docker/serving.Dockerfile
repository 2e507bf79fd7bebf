# The champion over HTTP: LiteRT and a small server, without TensorFlow and MLflow.

FROM python:3.11-slim-bookworm AS build

COPY docker/serving.lock /build/
ENV PIP_CACHE_DIR=/var/cache/pip
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv --without-pip /opt/venv && \
    python -m pip --python /opt/venv/bin/python install --no-deps --require-hashes --only-binary :all: --no-compile \
      --disable-pip-version-check -r /build/serving.lock
RUN find /opt/venv -type d -name tests -prune -exec rm -rf {} + && \
    /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

COPY components /app/components
COPY serving /app/serving
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app


FROM python:3.11-slim-bookworm AS final

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin serving && \
    install --directory --owner serving --group serving /workspace /requests /reports
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app

# /workspace is that of the pipeline, mounted read-only; /requests is the request log, /reports what users called wrong.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PIPELINE_HOME=/workspace \
    PIPELINE_SERVE_HOST=0.0.0.0 \
    PIPELINE_SERVE_LOG_FOLDER=/requests \
    PIPELINE_SERVE_REPORT_FOLDER=/reports
USER 10001:10001
WORKDIR /tmp
VOLUME /requests /reports
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/v2/health/live', timeout=4)"]
CMD ["python", "-m", "serving"]

LABEL org.opencontainers.image.title="retraining-pipeline-serving" \
      org.opencontainers.image.description="Answers with the champion over HTTP, and follows it" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.base.name="python:3.11-slim-bookworm"
