"""docker/compose.yaml: the schema of Compose, what services are given, and what Prometheus and Grafana read."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pyflink
import pytest
import yaml

from headrace.jobs.settings import TRANSACTION_TIMEOUT_MS
from headrace.layout import REPOSITORY
from tests.serving.telemetry.test_metrics import exported_names
from tests.support.dockerfiles import DOCKER, TARGETS, images
from tests.support.manifests import JOBS, compose, compose_containers, job_of

SERVICES = compose()["services"]
DASHBOARD = json.loads((DOCKER / "grafana/headrace.json").read_bytes())


def test_the_file_fits_the_schema_of_compose() -> None:
    if find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema, which has the schema, is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(DOCKER / "compose.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_image_is_built_here_or_pinned_by_a_tag() -> None:
    built = {service["image"]: service["build"] for service in SERVICES.values() if "build" in service}
    for name, service in SERVICES.items():
        assert service["image"] in built or re.search(r":v?\d+\.\d[\w.-]*$", service["image"]), name
    targets = {image.partition(":")[0]: build.get("target") for image, build in built.items()}
    assert targets == {**TARGETS, "headrace-flink": None}
    assert targets.keys() == images().keys()
    for build in built.values():
        assert (DOCKER / build["context"] / build["dockerfile"]).is_file()


def test_every_secret_volume_and_file_is_declared() -> None:
    declared = compose()
    for name, service in SERVICES.items():
        assert set(service.get("secrets", ())) <= declared["secrets"].keys(), name
        volumes = {each.partition(":")[0] for each in service.get("volumes", ())}
        assert volumes <= declared["volumes"].keys(), name
        assert {each["source"] for each in service.get("configs", ())} <= declared["configs"].keys(), name
        assert service.get("depends_on", {}).keys() <= SERVICES.keys(), name
    assert all((DOCKER / each["file"]).is_file() for each in declared["configs"].values())
    assert all(each["file"].startswith("secrets/") for each in declared["secrets"].values())


def test_a_condition_of_health_is_of_a_service_that_has_a_check() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                image = SERVICES[other]["image"].partition(":")[0]
                checked = "healthcheck" in SERVICES[other] or (image in images() and images()[image].checks)
                assert checked, f"{name} waits for {other}"


def test_each_job_is_submitted_once() -> None:
    jobs = [job_of(container) for container in compose_containers()]
    assert sorted(job[0].rpartition("/")[2] for job in jobs if job) == sorted(f"{name}.py" for name in JOBS)


def test_the_profile_core_is_the_pipeline_and_full_adds_two_services() -> None:
    profiles = {name: set(service["profiles"]) for name, service in SERVICES.items()}
    submitted = {name for name, found in profiles.items() if found == {"submit"}}
    assert submitted == {"job-ingest", "job-features", "job-samples"}
    running = {name: found for name, found in profiles.items() if name not in submitted}
    assert {name for name, found in running.items() if "core" not in found} == {"prometheus", "grafana"}
    assert all("full" in found for found in running.values())


def test_no_service_may_gain_rights() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert [name for name, service in SERVICES.items() if not service["read_only"]] == ["kafka"]


def test_only_this_host_reaches_the_ports() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_kafka_allows_the_transactions_of_the_jobs() -> None:
    assert int(SERVICES["kafka"]["environment"]["KAFKA_TRANSACTION_MAX_TIMEOUT_MS"]) >= TRANSACTION_TIMEOUT_MS


def test_prometheus_reads_services_that_exist_at_ports_where_metrics_are() -> None:
    settings = yaml.safe_load((DOCKER / "prometheus.yml").read_bytes())
    configs = {each["target"]: each["source"] for each in SERVICES["prometheus"]["configs"]}
    assert [compose()["configs"][configs[path]]["file"] for path in settings["rule_files"]] == ["../serving/alerts.yml"]
    flink = yaml.safe_load((REPOSITORY / "flink-conf/production.yaml").read_bytes())
    ports = {"headrace-flink": flink["metrics.reporter.prom.port"], "headrace-serving": 8080}
    for job in settings["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            service, _, port = target.partition(":")
            assert ports[SERVICES[service]["image"].partition(":")[0]] == int(port)


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH; it comes with Prometheus")
    text = (DOCKER / "prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus", str(REPOSITORY / "serving")))
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_reads_metrics_that_exist() -> None:
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert len(expressions) > 15
    named = {re.sub(r"_bucket$", "", each) for text in expressions for each in re.findall(r"headrace_\w+", text)}
    assert named <= exported_names()
    of_flink = {each for text in expressions for each in re.findall(r"flink_\w+", text)}
    assert of_flink
    dist = next((REPOSITORY / pyflink.__path__[0] / "lib").glob("flink-dist-*.jar"))
    with ZipFile(dist) as jar:
        begins = "org/apache/flink/runtime/"
        code = b"".join(jar.read(each) for each in jar.namelist() if each.startswith(begins))
    assert [each for each in of_flink if each.rpartition("_")[2].encode() not in code] == []


def test_panels_lie_apart() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in DASHBOARD["panels"]})
