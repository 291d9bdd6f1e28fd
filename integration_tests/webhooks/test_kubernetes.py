"""The manifests of deploy/kubernetes, rendered by kubectl and held to the schemas of Kubernetes."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.suite import ROOT

pytestmark = pytest.mark.kubernetes

FOLDERS = ("bucket", "volume")
INLET = Path(sys.executable).parent / "webhook-inlet"
_VALIDATOR = ROOT / ".cache" / "kubernetes-venv" / "bin" / "kubernetes-validate"
_FILLED = {
    "READ-TOKEN": "r" * 43,
    "PENDO-SECRET": "p" * 43,
    "CUSTOMERIO-SIGNING-KEY": "c" * 43,
    "BUCKET": "events",
    "REGION": "eu-central-1",
}


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the folder, with the configuration that its user writes."""
    copy = tmp_path / str(request.param)
    shutil.copytree(ROOT / "deploy" / "kubernetes" / str(request.param), copy, ignore=_own_configuration)
    text = (copy / "inlet.example.yaml").read_text(encoding="utf-8")
    for place, value in _FILLED.items():
        text = text.replace(place, value)
    for number in range(text.count("FRESH-PATH")):
        text = text.replace("FRESH-PATH", str(number) * 43, 1)
    (copy / "inlet.yaml").write_text(text, encoding="utf-8")
    return copy


def test_they_render_and_a_strict_validator_passes_every_resource(folder: Path) -> None:
    resources = _rendered(folder)
    done = _validated(folder, resources)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(" passed for resource ") == len(resources)
    kinds = {resource["kind"] for resource in resources}
    assert kinds >= {"Namespace", "Secret", "Service", "Ingress"}
    assert kinds & {"Deployment", "StatefulSet"} == {"Deployment" if folder.name == "bucket" else "StatefulSet"}


def test_the_validator_refuses_a_field_that_kubernetes_does_not_know(folder: Path) -> None:
    resources = _rendered(folder)
    _workload(resources)["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    done = _validated(folder, resources)

    assert done.returncode != 0
    assert "readynessProbe" in done.stdout + done.stderr


def test_the_job_of_the_page_on_spark_is_valid_and_keeps_to_the_restricted_standard() -> None:
    manifest = ROOT / "spark" / "examples" / "heap-tables.yaml"
    done = subprocess.run([_VALIDATOR, "--strict", manifest], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(" passed for resource ") == 1

    pod = yaml.safe_load(manifest.read_text(encoding="utf-8"))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_example_is_refused_until_it_is_filled_in(folder: Path) -> None:
    def url(name: str) -> subprocess.CompletedProcess[str]:
        command = [INLET, "url", "pendo", "--config", folder / name]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    example, filled = url("inlet.example.yaml"), url("inlet.yaml")
    assert example.returncode != 0
    assert "inlets[0].path" in example.stderr
    assert filled.returncode == 0, filled.stderr


def test_the_secret_is_the_configuration_and_the_pod_mounts_it_where_the_image_looks(folder: Path) -> None:
    resources = _rendered(folder)
    (secret,) = [resource for resource in resources if resource["kind"] == "Secret"]
    pod = _workload(resources)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (mounted,) = [volume["name"] for volume in pod["volumes"] if "secret" in volume]

    assert base64.b64decode(secret["data"]["inlet.yaml"]) == (folder / "inlet.yaml").read_bytes()
    assert [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume] == [
        secret["metadata"]["name"]
    ]
    assert mounts[mounted] == "/config"
    assert container["image"] == "webhook-inlet:0.1.0"
    if folder.name == "volume":
        (claim,) = _workload(resources)["spec"]["volumeClaimTemplates"]
        assert mounts[claim["metadata"]["name"]] == "/data"


def test_the_pod_keeps_to_the_restricted_standard_with_a_root_that_cannot_be_written(folder: Path) -> None:
    resources = _rendered(folder)
    pod = _workload(resources)["spec"]["template"]["spec"]
    (namespace,) = [resource for resource in resources if resource["kind"] == "Namespace"]

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_pod_ends_only_after_nobody_sends_it_anything_and_is_ready_only_while_it_stores(folder: Path) -> None:
    workload = _workload(_rendered(folder))
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = yaml.safe_load((folder / "inlet.yaml").read_text(encoding="utf-8"))["drain_seconds"]

    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == container["startupProbe"]["httpGet"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    # the readiness fails within the time in which the pod still takes posts
    probe = container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < drain < pod["terminationGracePeriodSeconds"] / 2
    if folder.name == "bucket":
        assert workload["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_service_budget_and_ingress_find_the_pods(folder: Path) -> None:
    resources = _rendered(folder)
    by_kind = {resource["kind"]: resource for resource in resources}
    workload = _workload(resources)
    labels = workload["spec"]["template"]["metadata"]["labels"].items()
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    service = by_kind["Service"]
    (path,) = by_kind["Ingress"]["spec"]["rules"][0]["http"]["paths"]

    assert workload["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] == service["spec"]["ports"][0]["name"]
    assert path["path"] == "/in/", "metrics, log and status page are not public"
    if folder.name == "bucket":
        assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels
        assert workload["spec"]["replicas"] == 2
    else:
        assert workload["spec"]["replicas"] == 1


def _own_configuration(_: str, names: list[str]) -> set[str]:
    """A real configuration of this machine's user stays where it is."""
    return {"inlet.yaml"} & set(names)


def _rendered(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _validated(folder: Path, resources: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    file = folder / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(resources), encoding="utf-8")
    return subprocess.run([_VALIDATOR, "--strict", file], capture_output=True, text=True, check=False, timeout=240)


def _workload(resources: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [resource for resource in resources if resource["kind"] in {"Deployment", "StatefulSet"}]
    return found
