"""deploy/kubernetes: every object is one that the API takes, they fit together, and none may do more than it has to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import pytest
import yaml
from deploy_helpers import DEPLOY, SETTINGS, assert_is_command, container_port, last, run
from lazy_imports import Later

from bot.server.timeouts import DEFAULT_TIMEOUTS

kubernetes_validate = Later("kubernetes_validate")

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
OBJECTS: list[dict[str, Any]] = [
    one for name in FILES for one in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
]
ON_REQUEST = {"secret.example.yaml", "slack.yaml", "ingress.yaml", "ingest.yaml"}


def of(*kinds: str) -> list[dict[str, Any]]:
    return [one for one in OBJECTS if one["kind"] in kinds]


def templates() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield every pod that can run: its object's name, labels and spec."""
    for one in of("Deployment", "StatefulSet", "Job", "CronJob"):
        spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
        yield one["metadata"]["name"], spec["template"]["metadata"]["labels"], spec["template"]["spec"]


PODS = {name: (labels, spec) for name, labels, spec in templates()}
OURS = [name for name, (_, spec) in PODS.items() if "citewire" in spec["containers"][0]["image"]]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in of(kind) if one["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("release", ["1.27", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata'].get('name')}")
def test_the_api_takes_it(one: dict[str, Any], release: str) -> None:
    kubernetes_validate.validate(one, release, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    wrong = {**named("Service", "serve"), "spec": {"selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.27", strict=True)


def test_kustomize_puts_them_together() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    assert {*listed["resources"], *ON_REQUEST} == set(FILES)
    assert all(one["metadata"]["namespace"] == "citewire" for one in OBJECTS if one["kind"] != "Namespace")
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    made = list(yaml.safe_load_all(run("kubectl", "kustomize", FOLDER)))
    assert len(made) == sum(
        len(list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))) for name in listed["resources"]
    )
    images = {
        container["image"]
        for one in made
        if one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {PODS["ingest"][1]["containers"][0]["image"]}  # which kustomize does not reach


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_do_no_more_than_it_has_to(name: str) -> None:
    _, spec = PODS[name]
    assert spec["automountServiceAccountToken"] is False
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"]
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claims = named("StatefulSet", name)["spec"]["volumeClaimTemplates"] if name in SERVERS else []
        there = {volume["name"] for volume in spec["volumes"]} | {
            claim["metadata"]["name"] for claim in claims
        }
        assert mounted == there


SERVERS = ("chroma", "postgres")


@pytest.mark.parametrize("name", OURS)
def test_our_pods_write_where_the_image_does_and_have_the_time_to_end(name: str) -> None:
    _, spec = PODS[name]
    (container,) = spec["containers"]
    paths = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert paths == {last("VOLUME"), "/tmp"}
    user, group = map(int, last("USER").split(":"))
    assert spec["securityContext"]["runAsUser"] == user
    assert spec["securityContext"]["fsGroup"] == group
    assert name == "ingest" or spec["terminationGracePeriodSeconds"] >= DEFAULT_TIMEOUTS.grace + 10
    assert "command" not in container  # it would replace the image's entry point


@pytest.mark.parametrize("name", OURS)
def test_what_is_started_is_a_command(name: str) -> None:
    assert_is_command(PODS[name][1]["containers"][0]["args"])


@pytest.mark.parametrize("name", PODS)
def test_what_a_pod_is_told_is_there_to_be_told(name: str) -> None:
    kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
    (container,) = PODS[name][1]["containers"]
    for source in container.get("envFrom", ()):
        ((kind, reference),) = source.items()
        named(kinds[kind], reference["name"])
    for variable in container.get("env", ()):
        if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
            assert reference["key"] in named("Secret", reference["name"])["stringData"]


def test_the_settings_are_ones() -> None:
    given = {*named("ConfigMap", "citewire")["data"], *named("Secret", "citewire")["stringData"]}
    assert given <= SETTINGS


def test_no_secret_is_kept_here() -> None:
    for one in of("Secret"):
        assert set(one["stringData"].values()) == {""}


def test_health_is_asked_where_it_is_told() -> None:
    (container,) = PODS["serve"][1]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": container_port()}]
    assert str(container_port()) in container["args"]
    asked = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert asked == {
        "startupProbe": {"path": "/readyz", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
        "livenessProbe": {"path": "/healthz", "port": "http"},  # a part that is away is no reason to kill it
    }


def test_the_servers_are_those_that_were_tested_and_are_found() -> None:
    chroma, postgres = (PODS[name][1]["containers"][0] for name in ("chroma", "postgres"))
    assert chroma["image"] == f"chromadb/chroma:{version('chromadb')}"
    assert PODS["backup"][1]["containers"][0]["image"] == postgres["image"]  # pg_dump is as new as the server
    told = named("ConfigMap", "citewire")["data"]
    port = chroma["ports"][0]["containerPort"]
    assert told["CITEWIRE_CHROMA_URL"] == f"http://chroma:{port}"
    assert chroma["args"][chroma["args"].index("--port") + 1] == str(port)
    values = {variable["name"]: variable.get("value") for variable in postgres["env"]}
    assert told["CITEWIRE_DATABASE_URL"] == (
        f"postgresql+psycopg://{values['POSTGRES_USER']}@postgres/{values['POSTGRES_DB']}"
    )
    for name in SERVERS:
        assert (
            named("Service", name)["spec"]["ports"][0]["port"]
            == PODS[name][1]["containers"][0]["ports"][0]["containerPort"]
        )


@pytest.mark.parametrize(
    "one", of("Service", "PodDisruptionBudget"), ids=lambda one: one["kind"] + one["metadata"]["name"]
)
def test_what_selects_pods_finds_the_right_ones(one: dict[str, Any]) -> None:
    wanted = one["spec"]["selector"].get("matchLabels", one["spec"]["selector"])
    found = [name for name, (labels, _) in PODS.items() if wanted.items() <= labels.items()]
    assert found == [one["metadata"]["name"]]


# Who may speak to whom


def selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for rule in selector.get("matchExpressions", ()):
        value, listed = labels.get(rule["key"]), rule["operator"] == "In"
        assert rule["operator"] in ("In", "NotIn")
        if (value in rule["values"]) != listed:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def allowed(direction: str, pod: str, peer: Mapping[str, Any], port: str | int) -> bool:
    """Say whether a policy lets this pod speak with the peer: {"pod": name}, {"namespace": name} or {"ip": range}."""
    policies = [
        one["spec"] for one in of("NetworkPolicy")
        if direction in one["spec"]["policyTypes"] and selected(one["spec"]["podSelector"], PODS[pod][0])
    ]  # fmt: skip
    assert policies, "what no policy selects may speak to all"
    return any(
        any(port == one["port"] for one in rule["ports"]) and any(_is(peer, one) for one in rule[_PEERS[direction]])
        for policy in policies
        for rule in policy.get(direction.lower(), ())
    )  # fmt: skip


_PEERS = {"Ingress": "from", "Egress": "to"}


def _is(peer: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    if "pod" in peer:
        return (
            "podSelector" in rule
            and "namespaceSelector" not in rule
            and selected(rule["podSelector"], PODS[peer["pod"]][0])
        )
    if "namespace" in peer:
        labels = {"kubernetes.io/metadata.name": peer["namespace"]}
        return "namespaceSelector" in rule and selected(rule["namespaceSelector"], labels)
    return rule.get("ipBlock", {}).get("cidr") == peer["ip"]


def connected(one: str, other: str) -> bool:
    return allowed("Egress", one, {"pod": other}, other) and allowed("Ingress", other, {"pod": one}, other)


@pytest.mark.parametrize("name", OURS)
def test_our_pods_reach_their_servers_and_the_internet(name: str) -> None:
    assert connected(name, "chroma")
    assert connected(name, "postgres")
    assert allowed("Egress", name, {"ip": "0.0.0.0/0"}, 443)
    assert not allowed("Ingress", "serve", {"pod": name}, "http")


def test_the_back_up_reaches_the_database_and_nothing_else() -> None:
    assert connected("backup", "postgres")
    assert not connected("backup", "chroma")
    assert not allowed("Egress", "backup", {"ip": "0.0.0.0/0"}, 443)


@pytest.mark.parametrize("name", SERVERS)
def test_the_servers_reach_nothing(name: str) -> None:
    assert not allowed("Egress", name, {"ip": "0.0.0.0/0"}, 443)
    assert not allowed("Ingress", name, {"namespace": "ingress-nginx"}, name)
    assert allowed("Egress", name, {"namespace": "kube-system"}, 53)


def test_readers_and_prometheus_reach_the_service() -> None:
    assert allowed("Ingress", "serve", {"namespace": "ingress-nginx"}, "http")
    assert allowed("Ingress", "serve", {"namespace": "monitoring"}, "http")
    assert not allowed("Ingress", "serve", {"namespace": "default"}, "http")
    (backend,) = {
        (path["backend"]["service"]["name"], path["backend"]["service"]["port"]["name"])
        for rule in named("Ingress", "serve")["spec"]["rules"]
        for path in rule["http"]["paths"]
    }
    assert backend == ("serve", named("Service", "serve")["spec"]["ports"][0]["name"])
    assert named("ConfigMap", "citewire")["data"]["CITEWIRE_PUBLIC_URL"] == (
        "https://" + named("Ingress", "serve")["spec"]["rules"][0]["host"]
    )
