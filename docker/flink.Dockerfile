# syntax=docker/dockerfile:1
# JobManager, TaskManager, and the client that submits jobs: Flink and its Java on Python's image (docs/adr/0035).
#
#   docker build --file docker/flink.Dockerfile --tag headrace-flink:0.1.0 .
#
# The context is the repository. `--build-context project=DIR` replaces its feature groups by those of your project.
ARG PYTHON=python:3.11-slim-bookworm
ARG FLINK_VERSION=2.3.0
ARG FLINK=flink:${FLINK_VERSION}-java21

FROM scratch AS project
COPY features /features

FROM ${FLINK} AS flink

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
 && wheel=$(ls /wheel/headrace-*.whl) \
 && uv pip install --constraint /lock/requirements.lock "${wheel}[flink]"

# The connector and the Avro format, checked against the checksums of jgo.lock.toml.
FROM packages AS jars
COPY jgo.lock.toml /lock/
RUN uv pip install --constraint /lock/requirements.lock jgo
# hadolint ignore=DL3059
RUN /opt/headrace/bin/python <<'EOF'
import shutil
import tomllib
from pathlib import Path

from jgo.maven import MavenContext

from headrace.stack.install import fetch

Path("/jars").mkdir()
for jar in tomllib.loads(Path("/lock/jgo.lock.toml").read_text())["dependencies"]:
    if jar["groupId"] == "org.apache.flink":
        shutil.copy(fetch(jar, MavenContext()), "/jars")
EOF

# PyFlink finds Flink by FLINK_HOME, so its own copy of the jars is not needed.
FROM packages AS slim-packages
WORKDIR /opt/headrace/lib/python3.11/site-packages/pyflink
RUN rm -r lib opt plugins examples

FROM ${PYTHON}
ARG FLINK_VERSION
# libjemalloc: Flink's entry point loads it, because RocksDB fragments the memory of glibc's malloc.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libjemalloc-dev \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 9999 flink \
 && useradd --uid 9999 --gid 9999 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin flink
COPY --from=flink /opt/java/openjdk /opt/java/openjdk
COPY --from=flink /opt/flink /opt/flink
COPY --from=flink /docker-entrypoint.sh /docker-entrypoint.sh
COPY --from=jars /jars/ /opt/flink/lib/
COPY --from=slim-packages /opt/headrace /opt/headrace
COPY --from=project /features /project/features
COPY flink-conf/production.yaml /opt/flink/conf/config.yaml
COPY flink-conf/log4j-console.properties /opt/flink/conf/log4j-console.properties
COPY flink-conf/log4j-console.properties /opt/flink/conf/log4j-cli.properties
# Plugins are linked here and not by ENABLE_BUILT_IN_PLUGINS, because the container's root is read-only.
RUN test -f "/opt/flink/opt/flink-s3-fs-presto-${FLINK_VERSION}.jar" \
 && test -f "/opt/flink/opt/flink-python-${FLINK_VERSION}.jar" \
 && mkdir -p /opt/flink/plugins/s3-fs-presto \
 && ln -s "/opt/flink/opt/flink-s3-fs-presto-${FLINK_VERSION}.jar" /opt/flink/plugins/s3-fs-presto/ \
 && install --directory --owner=9999 --group=9999 /opt/flink/log /var/lib/flink /var/lib/flink-checkpoints
ENV JAVA_HOME=/opt/java/openjdk \
    FLINK_HOME=/opt/flink \
    PATH=/opt/headrace/bin:/opt/flink/bin:/opt/java/openjdk/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /project
USER 9999:9999
EXPOSE 6123 8081 9249
# JobManager and TaskManager both export metrics on this port (flink-conf/production.yaml).
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9249/metrics', timeout=4)"]
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["help"]
