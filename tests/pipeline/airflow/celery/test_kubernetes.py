"""docker/kubernetes/ against the schema of Kubernetes and the pods that KubernetesExecutor makes; no cluster."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import models
from kubernetes.utils import parse_quantity

from tests.conftest import CLEAN, ROOT

FOLDER = ROOT / "docker" / "kubernetes"
Json = dict[str, Any]

TEMPLATES = {"validate": "pod.yaml", "train": "train.yaml"}
PLAIN = {"str": str, "int": int, "bool": bool, "object": object, "float": float, "datetime": datetime}

# In a process with the settings of airflow.env: the pods that the scheduler makes for tasks, and the options that
# Airflow and its providers know.
CONSTRUCT = """
import json, sys
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_utils import get_base_pod_from_template
from airflow.providers.cncf.kubernetes.kube_config import KubeConfig
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.providers_manager import ProvidersManager
from kubernetes.client import ApiClient
tasks, config, pods = DagBag("dags", load_op_links=False).dags["retrain"].task_dict, KubeConfig(), {}
for name in ("validate", "train"):
    config_of_task = tasks[name].executor_config
    pods[name] = PodGenerator.construct_pod(
        dag_id="retrain", task_id=name, pod_id=f"retrain-{name}", try_number=1, run_id="manual", date=None,
        kube_image=config.kube_image, namespace=config.kube_namespace, scheduler_job_id="1",
        args=["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "{}"],
        pod_override_object=PodGenerator.from_obj(config_of_task),
        base_worker_pod=get_base_pod_from_template(config_of_task.get("pod_template_file"), config),
    )
ProvidersManager().initialize_providers_configuration()
options = {section: list(spec["options"]) for section, spec in conf.configuration_description.items()}
json.dump({"pods": ApiClient().sanitize_for_serialization(pods), "options": options}, sys.stdout)
"""


def variables() -> dict[str, str]:
    """The variables of airflow.env."""
    lines = (FOLDER / "airflow.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def documents() -> list[Any]:
    named = [(file.name, document) for file in sorted(FOLDER.glob("*.yaml")) for document in load(file)]
    return [pytest.param(document, id=f"{name}-{document['kind']}") for name, document in named]


def load(file: Path) -> list[Json]:
    return list(yaml.safe_load_all(file.read_text()))


def mistakes(value: Any, kind: str, where: str) -> Iterator[str]:
    """What is wrong with *value* as the type *kind* of Kubernetes' client."""
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{where} is not a list"
        else:
            for number, entry in enumerate(value):
                yield from mistakes(entry, inner[1], f"{where}[{number}]")
    elif inner := re.fullmatch(r"dict\[(\w+), (.+)\]", kind):
        for name, entry in value.items():
            yield from mistakes(entry, inner[2], f"{where}.{name}")
    elif kind in PLAIN:
        if type(value) is not PLAIN[kind] and kind != "object":
            yield f"{where} is {value!r}; expected {kind}"
    else:
        yield from unlike(value, getattr(models, kind), where)


def unlike(value: Json, model: Any, where: str) -> Iterator[str]:
    """The fields of *value* that *model* does not have or that are wrong, and required ones that are missing."""
    names = {spelled: name for name, spelled in model.attribute_map.items()}
    for spelled, entry in value.items():
        if spelled not in names:
            yield f"{where}.{spelled} is not a field of {model.__name__}"
        else:
            yield from mistakes(entry, model.openapi_types[names[spelled]], f"{where}.{spelled}")
    try:
        model(**{names[spelled]: entry for spelled, entry in value.items() if spelled in names})
    except ValueError as error:
        yield f"{where}: {error}"


def kind_of(document: Json) -> str:
    """The client's name for it: V1NetworkPolicy for a NetworkPolicy of networking.k8s.io/v1."""
    version: str = document["apiVersion"].rpartition("/")[2]
    return f"{version.capitalize()}{document['kind']}"


@pytest.mark.parametrize("document", documents())
def test_every_document_is_of_the_schema_of_kubernetes(document: Json) -> None:
    """Each field exists and has its type, and no required one is missing."""
    assert list(mistakes(document, kind_of(document), "document")) == []


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (
            lambda pod: pod["spec"].update(restartpolicy="Never"),
            "spec.restartpolicy is not a field of V1PodSpec",
        ),
        (lambda pod: pod["spec"].update(containers={}), "document.spec.containers is not a list"),
        (lambda pod: pod["spec"].pop("containers"), "document.spec: Invalid value for `containers`"),
        (lambda pod: pod["spec"]["securityContext"].update(runAsUser="10001"), "runAsUser is '10001'; expected int"),
        (lambda pod: pod["spec"]["containers"][0]["env"][0].update(value=1), "value is 1; expected str"),
    ],
)
def test_a_wrong_document_would_be_noticed(change: Callable[[Json], object], mistake: str) -> None:
    """The check above notices a misspelt field, a wrong type and a missing one."""
    (pod,) = load(FOLDER / "pod.yaml")
    change(pod)
    assert any(mistake in text for text in mistakes(pod, kind_of(pod), "document"))


@pytest.fixture(scope="module")
def constructed(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The pods of `validate` and `train` as KubernetesExecutor would send them, and the options that Airflow knows."""
    home = tmp_path_factory.mktemp("pods")
    here = {name: value.replace("/pods/", f"{FOLDER}/") for name, value in variables().items()}
    local = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": "dags",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PIPELINE_CONFIG": "",
        "PYTHONPATH": str(ROOT),
    }
    command, environment = [sys.executable, "-c", CONSTRUCT], {**CLEAN, **here, **local}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: Json = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("task", TEMPLATES)
def test_the_executor_makes_its_pods_from_the_templates(constructed: Json, task: str) -> None:
    """Name, labels and command are the executor's; image, security, volumes and resources the template's."""
    (template,) = load(FOLDER / TEMPLATES[task])
    pod, wanted = constructed["pods"][task], template["spec"]
    spec = pod["spec"]
    assert pod["metadata"]["namespace"] == "retraining"
    assert pod["metadata"]["labels"].items() >= {"dag_id": "retrain", "task_id": task}.items()
    (container,) = spec["containers"]
    assert container["args"][:3] == ["python", "-m", "airflow.sdk.execution_time.execute_workload"]
    for field in ("image", "resources", "securityContext", "volumeMounts", "envFrom"):
        assert container[field] == wanted["containers"][0][field], field
    for field in wanted.keys() - {"containers"}:
        assert spec[field] == wanted[field], field
    assert list(mistakes(pod, "V1Pod", task)) == []


def test_training_differs_in_nodes_and_resources() -> None:
    """The two templates differ in nodes, resources and the autoscaler's annotation alone."""
    (pod,), (train,) = load(FOLDER / "pod.yaml"), load(FOLDER / "train.yaml")
    same = copy.deepcopy(train)
    assert same["metadata"].pop("annotations") == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    assert same["spec"].pop("nodeSelector")
    resources = [template["spec"]["containers"][0].pop("resources") for template in (pod, same)]
    assert same == pod
    for name in ("cpu", "memory"):
        light, heavy = (parse_quantity(each["requests"][name]) for each in resources)
        assert heavy > light
    assert all(
        parse_quantity(each["limits"]["memory"]) >= parse_quantity(each["requests"]["memory"]) for each in resources
    )


@pytest.mark.parametrize("name", sorted(TEMPLATES.values()))
def test_a_task_has_no_more_rights_than_it_needs(name: str) -> None:
    """Not root, a read-only root filesystem, no privilege escalation, and no access to Kubernetes."""
    (pod,) = load(FOLDER / name)
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert not spec["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not container["image"].endswith(":latest")
    assert ":" in container["image"]


def test_serving_writes_to_one_folder_of_the_workspace() -> None:
    """That of the reports, where the review of labels looks; its group owns it, as that of the tasks does the rest."""
    deployment = load(FOLDER / "serving.yaml")[0]
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] == "workspace"]
    assert [(mount["mountPath"], mount.get("readOnly", False)) for mount in mounts] == [
        ("/workspace", True),
        ("/workspace/serving", False),
    ]
    assert mounts[1]["subPath"] == "serving"
    assert {"name": "PIPELINE_SERVE_REPORT_FOLDER", "value": "/workspace/serving"} in container["env"]
    (pod,) = load(FOLDER / "pod.yaml")
    assert spec["securityContext"]["fsGroup"] == pod["spec"]["securityContext"]["fsGroup"]


def test_every_reference_resolves() -> None:
    """Claim, account and configuration go by the names that cluster.yaml and those of docs/cluster.md."""
    declared = {(each["kind"], each["metadata"]["name"]): each for each in load(FOLDER / "cluster.yaml")}
    page = (ROOT / "docs/cluster.md").read_text()
    for name in TEMPLATES.values():
        (pod,) = load(FOLDER / name)
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert {mount["name"] for mount in pod["spec"]["containers"][0]["volumeMounts"]} == set(volumes)
        claim = declared["PersistentVolumeClaim", volumes["workspace"]["persistentVolumeClaim"]["claimName"]]
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
        assert ("ServiceAccount", pod["spec"]["serviceAccountName"]) in declared
        for configured in (volumes["settings"]["configMap"]["name"], "retraining-airflow", "retraining-pods"):
            assert f"create configmap {configured} " in page


def test_every_variable_is_an_option_that_exists(constructed: Json) -> None:
    """A misspelt AIRFLOW__SECTION__OPTION would be ignored in silence, and so would a PIPELINE_ variable."""
    from pipeline import config

    options = constructed["options"].items()
    known = {f"AIRFLOW__{section}__{option}".upper() for section, names in options for option in names}
    settings = {"PIPELINE_" + name.upper().replace(".", "_") for name in config.SETTINGS}
    others = {"PIPELINE_HOME", "PIPELINE_CONFIG", "MLFLOW_TRACKING_URI"}
    secret = re.findall(r"^#   (AIRFLOW__\w+)", (FOLDER / "airflow.env").read_text(), re.MULTILINE)
    assert {*variables(), *secret} <= known | settings | others
    assert len(secret) == 3


def test_no_task_gets_a_secret() -> None:
    """What the tasks' pods read holds no password, no key and no address of the database."""
    assert not [name for name, value in variables().items() if value and re.search(r"SECRET|PASSWORD|SQL|KEY", name)]
    assert all("secret" not in json.dumps(load(FOLDER / name)).lower() for name in TEMPLATES.values())
