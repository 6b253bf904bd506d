"""The containers of docker/compose.yaml and docker/kubernetes: command line, variables, files and folders."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
import yaml
from msgspec import Struct

from headrace.jobs.settings import command_line
from tests.support.dockerfiles import DOCKER, images

OVERLAYS = ("base", "overlays/staging", "overlays/production")
JOBS = ("ingest", "features", "samples")
PYTHON_DRIVER = "org.apache.flink.client.python.PythonDriver"
Document = dict[str, Any]


class Container(Struct, frozen=True, kw_only=True):
    """A container as it starts. `files`: the files of secrets and settings that are mounted, with their contents."""

    where: str
    image: str
    argv: tuple[str, ...]
    variables: Mapping[str, str]
    files: Mapping[str, str]
    folders: tuple[str, ...] = ()
    source: Document


def image_name(reference: str) -> str:
    """The name of one of our images without its registry and tag; others as they are."""
    name = re.sub(r"(:[^:/]+)?$", "", reference.rpartition("/")[2])
    return name if name.startswith("headrace-") else reference


@cache
def compose() -> Document:
    """The compose file, with the defaults of its variables."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", text))


def compose_containers() -> list[Container]:
    """The containers of our images in the compose file."""
    return list(_compose_containers(compose()["services"]))


def _compose_containers(services: Mapping[str, Document]) -> Iterator[Container]:
    built = images()
    for name, service in services.items():
        if (image := image_name(service["image"])) not in built:
            continue
        entrypoint = service.get("entrypoint", built[image].entrypoint)
        default = () if "entrypoint" in service else built[image].command
        argv = (*entrypoint, *_words(service.get("command", default)))
        volumes = [each.partition(":")[2].partition(":")[0] for each in service.get("volumes", ())]
        folders = (*volumes, *(each.partition(":")[0] for each in service.get("tmpfs", ())))
        yield Container(
            where=f"compose {name}",
            image=image,
            argv=tuple(map(str, argv)),
            variables={key: str(value) for key, value in service.get("environment", {}).items()},
            files={f"/run/secrets/{secret}": "a secret of the test" for secret in service.get("secrets", ())},
            folders=folders,
            source=service,
        )


def _words(command: str | Sequence[str]) -> Sequence[str]:
    return shlex.split(command) if isinstance(command, str) else command


@cache
def rendered(overlay: str) -> list[Document]:
    """The manifests of an overlay as kustomize makes them."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on PATH")
    command = [kubectl, "kustomize", str(DOCKER / "kubernetes" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, Document]:
    """The manifests of some kinds, by name."""
    return {each["metadata"]["name"]: each for each in rendered(overlay) if each["kind"] in kinds}


def pods(overlay: str) -> dict[str, Document]:
    """The specification of each pod, with the labels of its template, by the name of what makes it."""
    found = of_kind(overlay, "Deployment", "Job", "CronJob", "FlinkDeployment")
    return {name: _template(each) for name, each in found.items()}


def _template(manifest: Document) -> Document:
    spec = manifest["spec"]
    if manifest["kind"] == "FlinkDeployment":
        return spec["podTemplate"]
    return (spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec)["template"]


def kubernetes_containers(overlay: str) -> list[Container]:
    """The containers of an overlay; a FlinkDeployment is one, with the command line of its job."""
    config_maps = {name: each.get("data", {}) for name, each in of_kind(overlay, "ConfigMap").items()}
    found: list[Container] = []
    for name, template in pods(overlay).items():
        spec = template["spec"]
        for each in (*spec.get("initContainers", ()), *spec["containers"]):
            found.append(_kubernetes_container(f"{overlay} {name}/{each['name']}", each, spec, config_maps))
    jobs = of_kind(overlay, "FlinkDeployment")
    return [_with_job(each, jobs) for each in found]


def _kubernetes_container(where: str, each: Document, spec: Document, maps: Mapping[str, Document]) -> Container:
    image = image_name(each.get("image", "headrace-flink"))
    built = images()[image]
    command = each.get("command", built.entrypoint)
    argv = (*command, *each.get("args", () if "command" in each else built.command))
    variables = {}
    for source in each.get("envFrom", ()):
        variables |= maps[source["configMapRef"]["name"]] if "configMapRef" in source else {}
    variables |= {row["name"]: row["value"] for row in each.get("env", ())}
    volumes, files = {volume["name"]: volume for volume in spec["volumes"]}, dict[str, str]()
    for mount in each["volumeMounts"]:
        volume = volumes[mount["name"]]
        for item in volume.get("secret", {}).get("items", ()):
            files[f"{mount['mountPath']}/{item['path']}"] = "a secret of the test"
        for path, content in maps.get(volume.get("configMap", {}).get("name"), {}).items():
            files[f"{mount['mountPath']}/{path}"] = content
    folders = tuple(mount["mountPath"] for mount in each["volumeMounts"] if not mount.get("readOnly"))
    return Container(
        where=where, image=image, argv=argv, variables=variables, files=files, folders=folders, source=each
    )


def _with_job(container: Container, jobs: Mapping[str, Document]) -> Container:
    if container.image != "headrace-flink":
        return container
    name = container.where.split()[1].partition("/")[0]
    job = jobs[name]["spec"]["job"]
    return Container(
        where=container.where,
        image=image_name(jobs[name]["spec"]["image"]),
        argv=(job["entryClass"], *job["args"]),
        variables=container.variables,
        files=container.files,
        folders=container.folders,
        source=container.source,
    )


def job_of(container: Container) -> tuple[str, list[str]] | None:
    """(path of the job's file, its arguments) of a container that submits a job."""
    argv = list(container.argv)
    for option in ("-py", "--python"):
        if option in argv:
            at = argv.index(option)
            return argv[at + 1], argv[at + 2 :]
    return None


def job_options(path: str, arguments: Sequence[str]):
    """The options of a job's command line, by the job's own parser."""
    return command_line(path.rpartition("/")[2].removesuffix(".py")).parse_args(list(arguments))
