"""What the bindings accept: ``test_bindings.py`` expects no complaint about it from mypy."""

from cdk8s import App, Chart, JsonPatch

from imports.argocd import Application, AppProject
from imports.cert_manager import (
    Certificate,
    CertificateSpec,
    ClusterIssuer,
    Issuer,
    IssuerSpec,
    PrivateKey,
)
from imports.k8s import (
    ClusterRoleBinding,
    ConfigMap,
    Container,
    Deployment,
    EnvVar,
    HorizontalPodAutoscaler,
    NetworkPolicy,
    NetworkPolicyPeer,
    ObjectMeta,
    PodSpec,
    Service,
    StatefulSet,
)
from imports.monitoring import PrometheusAgent, ScrapeConfig, ServiceMonitor
from imports.traefik import IngressRouteTCP, Middleware

chart = Chart(App(), "chart", namespace="apps", labels={"team": "core"})

# A structure can be a variable of its type, a call of it, or a plain literal in place.
meta: ObjectMeta = {"name": "web", "labels": {"app": "web"}}
environment: list[EnvVar] = [{"name": "A", "value": "1"}]
container = Container(name="web", image="web:1", env=environment, args=("--port", "80"))
pod: PodSpec = {
    "containers": [container],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "matchLabelKeys": ["pod-template-hash"],
        }
    ],
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
}
deployment = Deployment(
    chart,
    "deployment",
    metadata=meta,
    spec={
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod},
    },
)
service = Service(
    chart,
    "service",
    spec={"ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]},
)
service.add_dependency(deployment)
service.add_json_patch(JsonPatch.add("/spec/type", "LoadBalancer"))
service.metadata.add_label("tier", "edge")

# `from` is a field, though no Python name.
peers: list[NetworkPolicyPeer] = [{"namespaceSelector": {}}]
NetworkPolicy(
    chart, "policy", spec={"podSelector": {}, "ingress": [{"from": peers, "ports": [{"port": 80}]}]}
)
ConfigMap(chart, "config", data={"key": "value"}, immutable=True)
ClusterRoleBinding(
    chart,
    "binding",
    roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    subjects=[{"kind": "ServiceAccount", "name": "web", "namespace": "apps"}],
)
HorizontalPodAutoscaler(
    chart,
    "autoscaler",
    spec={
        "maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    },
)
# A quantity is a string or a number.
StatefulSet(
    chart,
    "set",
    spec={
        "selector": {},
        "template": {
            "spec": {
                "containers": [
                    {"name": "db", "resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}}}
                ]
            }
        },
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
    },
)

# Issuer and ClusterIssuer have one spec, which goes by either name.
issuer: IssuerSpec = {"selfSigned": {}}
ClusterIssuer(chart, "cluster-issuer", spec=issuer)
Issuer(chart, "issuer", spec=issuer)
certificate: CertificateSpec = {
    "secretName": "tls",
    "issuerRef": {"name": "letsencrypt"},
    "privateKey": PrivateKey(algorithm="ECDSA", size=256),
}
Certificate(chart, "certificate", spec=certificate)

IngressRouteTCP(
    chart,
    "route",
    spec={
        "entryPoints": ["websecure"],
        "routes": [{"match": "HostSNI(`a`)", "services": [{"name": "web", "port": "https"}]}],
        "tls": {"passthrough": True},
    },
)
Middleware(chart, "middleware", spec={"plugin": {"any": {"thing": [1]}}})
AppProject(chart, "project", spec={"sourceRepos": ["https://example.org/repo.git"]})
Application(
    chart,
    "application",
    spec={
        "project": "default",
        "destination": {"name": "us-east"},
        "source": {"repoURL": "https://example.org/repo.git", "path": "dist"},
    },
)
ServiceMonitor(
    chart, "monitor", spec={"selector": {}, "endpoints": [{"port": "metrics", "interval": "30s"}]}
)
ScrapeConfig(chart, "scrape", spec={"scheme": "HTTPS"})
PrometheusAgent(chart, "agent", spec={"replicas": 1, "remoteWrite": [{"url": "https://hub"}]})
