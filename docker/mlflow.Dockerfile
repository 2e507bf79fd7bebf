# MLflow's server, on PostgreSQL. docker/mlflow.lock leaves out what only MLflow's clients use: Arrow, SciPy,
# scikit-learn, Matplotlib.

FROM python:3.11-slim-bookworm AS build

COPY docker/mlflow.lock /build/
ENV PIP_CACHE_DIR=/var/cache/pip
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv --without-pip /opt/venv && \
    python -m pip --python /opt/venv/bin/python install --no-deps --require-hashes --only-binary :all: --no-compile \
      --disable-pip-version-check -r /build/mlflow.lock
RUN find /opt/venv -type d -name tests -prune -exec rm -rf {} + && \
    /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib


FROM python:3.11-slim-bookworm AS final

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin mlflow && \
    install --directory --owner mlflow --group mlflow /mlartifacts
COPY --from=build /opt/venv /opt/venv
COPY docker/mlflow_server.py /app/

ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    DO_NOT_TRACK=true \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    GIT_PYTHON_REFRESH=quiet
USER 10001:10001
WORKDIR /mlartifacts
VOLUME /mlartifacts
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5000/health', timeout=4)"]
CMD ["python", "/app/mlflow_server.py"]

LABEL org.opencontainers.image.title="retraining-pipeline-mlflow" \
      org.opencontainers.image.description="MLflow's server on PostgreSQL" \
      org.opencontainers.image.version="3.17.2" \
      org.opencontainers.image.base.name="python:3.11-slim-bookworm"
