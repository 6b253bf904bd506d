# syntax=docker/dockerfile:1
# Every process that Flink does not run: targets `loader` (and the command line), `serving` (and its feeder), `learner`.
#
#   docker build --file docker/headrace.Dockerfile --target serving --tag headrace-serving:0.1.0 .
#
# The context is the repository. `--build-context project=DIR` replaces its feature groups by those of your project.
ARG PYTHON=python:3.11-slim-bookworm

FROM scratch AS project
COPY features /features

# uv and setuptools come from the lock too, so hashes are checked from the first download on.
FROM ${PYTHON} AS tools
COPY requirements.lock /lock/
RUN sed -n -e '/^uv==/,/# via/p' -e '/^setuptools==/,/# via/p' /lock/requirements.lock > /lock/tools.lock \
 && pip install --no-cache-dir --require-hashes --requirement /lock/tools.lock

FROM tools AS wheel
COPY . /source
RUN pip wheel --no-deps --no-build-isolation --no-cache-dir --wheel-dir /wheel /source

FROM tools AS packages
ENV VIRTUAL_ENV=/opt/headrace UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
COPY --from=wheel /wheel /wheel
RUN uv venv "$VIRTUAL_ENV" \
 && uv pip install --constraint /lock/requirements.lock /wheel/headrace-*.whl

FROM packages AS serving-packages
RUN wheel=$(ls /wheel/headrace-*.whl) \
 && uv pip install --constraint /lock/requirements.lock "${wheel}[serving]"

FROM packages AS learner-packages
RUN wheel=$(ls /wheel/headrace-*.whl) \
 && uv pip install --constraint /lock/requirements.lock "${wheel}[learner]"

# What the processes share: an account that owns nothing but its data, and the project. Nothing else is written to.
FROM ${PYTHON} AS process
RUN groupadd --gid 10001 headrace \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin headrace \
 && install --directory --owner=10001 --group=10001 \
      /var/lib/headrace /var/lib/headrace/artefacts /var/lib/headrace/spool /run/headrace
COPY --from=project /features /project/features
ENV PATH=/opt/headrace/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    HEADRACE_HOME=/var/lib/headrace
WORKDIR /project
USER 10001:10001

# Loader and learner exit when they cannot go on, and whoever runs the container starts them again. A check that asks
# Kafka or Redis would restart them during an outage that they survive, so there is no check.
FROM process AS loader
COPY --from=packages /opt/headrace /opt/headrace
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "headrace.store.loader"]

FROM process AS learner
COPY --from=learner-packages /opt/headrace /opt/headrace
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "headrace.learner"]
CMD ["--artefacts", "/var/lib/headrace/artefacts", "--features", "/project/features"]

FROM process AS serving
COPY --from=serving-packages /opt/headrace /opt/headrace
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/health/live', timeout=4)"]
ENTRYPOINT ["python", "-m", "headrace.serving"]
CMD ["--host", "0.0.0.0", "--artefacts", "/var/lib/headrace/artefacts", "--shared", "/run/headrace", "--spool", "/var/lib/headrace/spool"]
