"""docker/kubernetes: schemas, rights, probes, secrets, and that names in one manifest are those of another."""

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from headrace.layout import REPOSITORY
from headrace.serving.routes import HANDLERS
from headrace.serving.shared.current import REPORT
from tests.support.dockerfiles import images
from tests.support.manifests import JOBS, OVERLAYS, Document, image_name, of_kind, pods, rendered

CLUSTERS = "1.31.0"  # the oldest version that the manifests are for
SECRETS = {"headrace", "headrace-s3"}
KEYS = {"ca.pem", "kafka-password", "redis-password", "model-key", "mask-key", "token"}
ours = pytest.mark.parametrize("overlay", OVERLAYS)


def containers(template: Document) -> Iterator[Document]:
    yield from template["spec"].get("initContainers", ())
    yield from template["spec"]["containers"]


@ours
@pytest.mark.parametrize("version", [CLUSTERS, "1.37.0"])
def test_manifests_fit_the_schemas_of_kubernetes(overlay: str, version: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for each in rendered(overlay):
        if each["kind"] != "FlinkDeployment":
            validator.validate(each, version, strict=True)


@ours
def test_flink_deployments_fit_the_schema_of_the_operator(overlay: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    folder = Path(os.environ.get("HEADRACE_DATA", REPOSITORY / "../shared/data")) / "crd"
    file = folder / "flinkdeployments.flink.apache.org-v1.yml.gz"
    if not file.exists():
        pytest.skip(f"{file} is missing; set HEADRACE_DATA to the folder of recorded data")
    definition = yaml.safe_load(gzip.decompress(file.read_bytes()))
    schema = _closed(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    deployments = of_kind(overlay, "FlinkDeployment")
    assert deployments.keys() == set(JOBS)
    for name, each in deployments.items():
        assert each["apiVersion"] == "flink.apache.org/v1beta1"
        errors = [f"{name} {error.json_path}: {error.message}" for error in _errors(jsonschema, schema, each["spec"])]
        assert errors == []


def _errors(jsonschema, schema: Document, spec: Document) -> Iterator:
    return jsonschema.Draft202012Validator(schema).iter_errors(spec)


def _closed(schema: Document) -> Document:
    """The schema, refusing fields that it does not name: the cluster would drop them without a word."""
    closed = {key: _closed(value) if isinstance(value, dict) else value for key, value in schema.items()}
    described = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    free = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    return {**closed, "additionalProperties": False} if described and not free else closed


@ours
def test_every_image_is_one_that_a_dockerfile_builds(overlay: str) -> None:
    used = {
        image_name(each["image"])
        for template in pods(overlay).values()
        for each in containers(template)
        if "image" in each
    }
    used |= {image_name(each["spec"]["image"]) for each in of_kind(overlay, "FlinkDeployment").values()}
    assert used == images().keys()
    assert "latest" not in str(rendered(overlay))


@ours
def test_no_pod_has_more_rights_than_it_needs(overlay: str) -> None:
    for name, template in pods(overlay).items():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        accounts = {str(spec["securityContext"]["runAsUser"])}
        for each in containers(template):
            own = each["securityContext"]
            assert own["readOnlyRootFilesystem"], name
            assert not own["allowPrivilegeEscalation"], name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert images()[image_name(each.get("image", "headrace-flink"))].user.partition(":")[0] in accounts, name
        if name not in JOBS:
            assert spec["automountServiceAccountToken"] is False, name
            assert spec["serviceAccountName"] in of_kind(overlay, "ServiceAccount"), name


@ours
def test_every_container_asks_for_memory_and_has_a_limit(overlay: str) -> None:
    for name, template in pods(overlay).items():
        for each in containers(template):
            if name not in JOBS:
                assert {"cpu", "memory"} <= each["resources"]["requests"].keys(), name
                assert "memory" in each["resources"]["limits"], name


@ours
def test_secrets_are_references(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == {}
    named, keys = set[str](), set[str]()
    for template in pods(overlay).values():
        for volume in template["spec"]["volumes"]:
            if "secret" in volume:
                named.add(volume["secret"]["secretName"])
                keys |= {item["key"] for item in volume["secret"]["items"]}
        for each in containers(template):
            named |= {source["secretRef"]["name"] for source in each.get("envFrom", ()) if "secretRef" in source}
    assert named == SECRETS
    assert keys == KEYS
    page = (REPOSITORY / "docs/deploy.md").read_text(encoding="utf-8")
    assert [each for each in sorted(SECRETS | KEYS) if each not in page] == []


def paths() -> set[str]:
    return {path for handler in HANDLERS for path in handler.paths}


@ours
def test_probes_ask_routes_and_files_that_exist(overlay: str) -> None:
    asked, checked = set[str](), set[str]()
    for template in pods(overlay).values():
        for each in containers(template):
            ports = {port["name"]: port["containerPort"] for port in each.get("ports", ())}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                found = each.get(probe, {})
                if "httpGet" in found:
                    asked.add(found["httpGet"]["path"])
                    assert ports[found["httpGet"]["port"]] == 8080
                elif found:
                    checked |= set(re.findall(r"/run/headrace/(\S+)", found["exec"]["command"][-1]))
    assert asked == {"/health/live", "/health/ready"}
    assert asked <= paths()
    assert checked == {REPORT}


@ours
def test_selectors_and_targets_name_what_exists(overlay: str) -> None:
    labels = {name: template["metadata"]["labels"] for name, template in pods(overlay).items()}
    selectors = [each["spec"]["selector"] for each in of_kind(overlay, "Service").values()]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in of_kind(overlay, "PodDisruptionBudget").values()]
    policies = of_kind(overlay, "NetworkPolicy")
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in policies.values()]
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels.values()), selector
    deployments = of_kind(overlay, "Deployment")
    for each in of_kind(overlay, "HorizontalPodAutoscaler").values():
        target = deployments[each["spec"]["scaleTargetRef"]["name"]]
        measured = each["spec"]["metrics"][0]["containerResource"]["container"]
        assert measured in [row["name"] for row in target["spec"]["template"]["spec"]["containers"]]
        assert "replicas" not in target["spec"], "each `apply` would set it back"


@ours
def test_every_pod_is_under_the_policy_that_denies_by_default(overlay: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy")["default-deny"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not policy.keys() & {"ingress", "egress"}
    everyone = policy["podSelector"]["matchLabels"].items()
    assert all(everyone <= template["metadata"]["labels"].items() for template in pods(overlay).values())


@ours
def test_there_is_one_learner_and_the_feeder_is_a_sidecar(overlay: str) -> None:
    learner = of_kind(overlay, "Deployment")["learner"]["spec"]
    assert (learner["replicas"], learner["strategy"]) == (1, {"type": "Recreate"})
    serving = pods(overlay)["serving"]["spec"]
    assert [(each["name"], each["restartPolicy"]) for each in serving["initContainers"]] == [("feeder", "Always")]
    shared = [{mount["name"] for mount in each["volumeMounts"]} for each in containers({"spec": serving})]
    assert {"shared", "spool", "artefacts"} <= shared[0] & shared[1]
    volumes = {volume["name"]: volume for volume in serving["volumes"]}
    assert volumes["shared"]["emptyDir"]["medium"] == "Memory"
    assert "medium" not in volumes["spool"]["emptyDir"]


@ours
def test_metrics_are_scraped_where_they_are(overlay: str) -> None:
    flink = yaml.safe_load((REPOSITORY / "flink-conf/production.yaml").read_bytes())
    ports = {"serving": "8080"} | dict.fromkeys(JOBS, str(flink["metrics.reporter.prom.port"]))
    for name, template in pods(overlay).items():
        notes = template["metadata"].get("annotations", {})
        assert notes.get("prometheus.io/port") == ports.get(name), name
    assert "/metrics" in paths()
