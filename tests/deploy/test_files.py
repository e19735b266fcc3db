"""What we hand out to run Locum on many machines is understood: by Compose, Kubernetes and us."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from locum.api.operators import HEALTH, METRICS, READY
from locum.arguments import parser
from locum.settings import Settings, load

_DEPLOY = Path(__file__).parent.parent.parent / "deploy"
_KUBERNETES = sorted(
    path for path in (_DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "kustomization"
)
_OURS = ("web", "worker", "migrate")


def _read(path: Path) -> list[Any]:
    with path.open(encoding="utf-8") as file:
        return [document for document in YAML(typ="safe").load_all(file) if document is not None]


def _compose() -> Any:
    [document] = _read(_DEPLOY / "compose.yaml")
    return document


def _objects(kind: str) -> list[Any]:
    return [one for path in _KUBERNETES for one in _read(path) if one["kind"] == kind]


def _pods() -> list[Any]:
    return [one["spec"]["template"]["spec"] for one in _objects("Deployment") + _objects("Job")]


def _settings_of(environment: dict[str, Any]) -> Settings:
    """What the process would read, with a word of ours where a secret goes."""
    filled = {name: re.sub(r"\$\{[^}]+\}", "x" * 16, value) for name, value in environment.items()}
    return load(environment=filled)


def _is_a_setting(name: str) -> bool:
    return name.removeprefix("LOCUM_").lower() in Settings.__struct_fields__


# -------------------------------------------------------------------------- Compose


def test_compose_is_what_compose_understands() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*check, str(_DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", _OURS)
def test_compose_gives_commands_and_settings_that_there_are(name: str) -> None:
    service = _compose()["services"][name]
    command = [str(word) for word in service["command"]]
    assert parser().parse_args(command).command == command[0]
    ours = {key: value for key, value in service["environment"].items() if key[:6] == "LOCUM_"}
    assert not [key for key in ours if not _is_a_setting(key)]
    settings = _settings_of(ours)
    assert settings.operator_port == 9100
    assert settings.blobs_endpoint == "http://objects:9000"


@pytest.mark.parametrize("name", _OURS)
def test_compose_lets_our_processes_do_no_more_than_they_need(name: str) -> None:
    service = _compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_compose_publishes_nothing_to_the_world_by_itself() -> None:
    for name, service in _compose()["services"].items():
        for port in service.get("ports", []):
            assert re.match(r"(\$\{\w+:-)?127\.0\.0\.1:", port), (name, port)
            assert "9100" not in port


def test_compose_names_an_exact_version_of_whatever_is_not_ours() -> None:
    images = {service["image"] for service in _compose()["services"].values()}
    foreign = {image for image in images if not image.startswith("${LOCUM_IMAGE")}
    assert foreign
    assert not {image for image in foreign if not re.search(r":[\w.-]*\d", image)}


def test_every_secret_of_compose_stands_in_the_example_and_nothing_else_does() -> None:
    text = (_DEPLOY / "compose.yaml").read_text("utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text)) - {"LOCUM_IMAGE", "LOCUM_PUBLISH"}
    example = (_DEPLOY / ".env.example").read_text("utf-8")
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == asked


def test_the_proxy_leads_no_one_to_operators_paths() -> None:
    text = (_DEPLOY / "Caddyfile").read_text("utf-8")
    assert f"path {METRICS} /admin/*" in text
    assert "port 8000" in text
    assert "9100" not in text
    # Streams are passed on as they are made.
    assert "flush_interval -1" in text


def test_who_signs_in_at_the_page_comes_back_to_the_same_server() -> None:
    """A session is a process's own: see `web/sessions.py`."""
    text = (_DEPLOY / "Caddyfile").read_text("utf-8")
    page, others = text.split("reverse_proxy @page {")[1].split("reverse_proxy {")
    assert "@page path /page/* /gateway/*" in text
    assert "lb_policy client_ip_hash" in page
    assert "flush_interval -1" in page
    assert "lb_policy least_conn" in others
    kept = {
        service["metadata"]["name"]: service["spec"]["sessionAffinityConfig"]["clientIP"]
        for service in _objects("Service")
        if service["spec"].get("sessionAffinity") == "ClientIP"
    }
    assert kept == {"locum-page": {"timeoutSeconds": 12 * 3600}}


# ----------------------------------------------------------------------- Kubernetes


@pytest.mark.parametrize("path", _KUBERNETES, ids=lambda path: path.name)
def test_manifests_are_what_kubernetes_understands(path: Path) -> None:
    for one in _read(path):
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_the_kustomization_names_the_files_there_are() -> None:
    [document] = _read(_DEPLOY / "kubernetes" / "kustomization.yaml")
    there = {path.name for path in _KUBERNETES} - {"secrets.example.yaml", "migrate.yaml"}
    assert set(document["resources"]) == there


def test_pods_are_told_commands_and_settings_that_there_are() -> None:
    [shared] = _objects("ConfigMap")
    [secret] = _objects("Secret")
    for pod in _pods():
        [container] = pod["containers"]
        arguments = [str(word) for word in container["args"]]
        assert parser().parse_args(arguments).command == arguments[0]
        own = {one["name"]: one["value"] for one in container.get("env", [])}
        told = shared["data"] | secret["stringData"] | own
        assert not [name for name in told if name[:6] == "LOCUM_" and not _is_a_setting(name)]
        settings = load(environment=told)
        assert settings.operator_host == "0.0.0.0"
        assert settings.operator_port == 9100


def test_pods_may_do_no_more_than_they_need() -> None:
    assert len(_pods()) == len(_OURS)
    for pod in _pods():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        [container] = pod["containers"]
        walls = container["securityContext"]
        assert walls["readOnlyRootFilesystem"] is True
        assert walls["allowPrivilegeEscalation"] is False
        assert walls["capabilities"]["drop"] == ["ALL"]
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
        assert {"/data", "/tmp"} <= set(mounted.values())


def test_files_and_container_agree_on_who_runs_what() -> None:
    container = (_DEPLOY / "Containerfile").read_text("utf-8")
    assert 'ENTRYPOINT ["locum"]' in container
    assert _compose()["services"]["web"]["build"]["dockerfile"] == "deploy/Containerfile"
    for pod in _pods():
        owner = pod["securityContext"]
        assert f"USER {owner['runAsUser']}:{owner['runAsGroup']}\n" in container
        assert "command" not in pod["containers"][0]
    assert "LOCUM_DATA=/data" in container


def test_probes_ask_what_we_answer_on_the_port_of_operators() -> None:
    for deployment in _objects("Deployment"):
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")}
        ready = container["readinessProbe"]["httpGet"]
        assert {probe["path"] for probe in probes.values()} == {HEALTH}
        assert ready["path"] == READY
        assert {probe["port"] for probe in (*probes.values(), ready)} == {"operators"}
        assert ports["operators"] == 9100
        noted = deployment["spec"]["template"]["metadata"]["annotations"]
        assert noted["prometheus.io/path"] == METRICS
        assert noted["prometheus.io/port"] == "9100"


def test_a_server_is_not_ready_for_some_time_before_it_is_gone() -> None:
    """Longer than a probe takes to notice, and well within the time it has to end."""
    web = next(one for one in _objects("Deployment") if one["metadata"]["name"] == "locum-web")
    pod = web["spec"]["template"]["spec"]
    [container] = pod["containers"]
    own = {one["name"]: one["value"] for one in container["env"]}
    probe = container["readinessProbe"]
    notice_s = float(own["LOCUM_NOTICE_S"])
    assert probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"] < notice_s
    assert notice_s + 30 < pod["terminationGracePeriodSeconds"]


def test_what_selects_pods_finds_those_it_means() -> None:
    labels = {
        deployment["metadata"]["name"]: deployment["spec"]["template"]["metadata"]["labels"]
        for deployment in _objects("Deployment")
    }
    for service in _objects("Service"):
        assert _found(service["spec"]["selector"], labels) == {"locum-web"}
        assert service["spec"]["ports"][0]["targetPort"] == "http"
    for budget in _objects("PodDisruptionBudget"):
        selector = budget["spec"]["selector"]["matchLabels"]
        assert _found(selector, labels) == {budget["metadata"]["name"]}
    for scaler in _objects("HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] == scaler["metadata"]["name"]
        assert scaler["metadata"]["name"] in labels
    [policy] = _objects("NetworkPolicy")
    assert _found(policy["spec"]["podSelector"]["matchLabels"], labels) == set(labels)


def _found(selector: dict[str, str], labels: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, held in labels.items() if selector.items() <= held.items()}


def test_secrets_are_given_by_reference_and_the_example_holds_none() -> None:
    for pod in _pods():
        [container] = pod["containers"]
        sources = [next(iter(source)) for source in container["envFrom"]]
        assert sources == ["configMapRef", "secretRef"]
    [secret] = _objects("Secret")
    assert all("CHANGE-ME" in value for value in secret["stringData"].values())
    [shared] = _objects("ConfigMap")
    assert not [name for name in shared["data"] if re.search("KEY|SECRET|PASSWORD|DATABASE", name)]
