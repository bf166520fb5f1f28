"""What the bindings refuse: mypy complains about each marked line, with that code, and no other."""

from cdk8s import App, Chart

from imports.argocd import Application, ApplicationSet, AppProject, Source
from imports.cert_manager import Certificate, CertificateSpec, ClusterIssuer, IssuerRef
from imports.k8s import (
    ClusterRoleBinding,
    ConfigMap,
    Container,
    Deployment,
    NetworkPolicyIngressRule,
    ObjectMeta,
    ServicePort,
    StorageClass,
)
from imports.monitoring import (
    Alertmanager,
    PodMetricsEndpoint,
    Prometheus,
    ScrapeConfigSpec,
    ServiceMonitor,
    SourceMatch,
)
from imports.traefik import IngressRoute, IngressRouteTCP, MiddlewareSpec

chart = Chart(App(), "chart")
issuer: IssuerRef = {"name": "letsencrypt"}

# A field that does not exist, at the top and deep inside.
meta: ObjectMeta = {"nmae": "web"}  # fault: typeddict-unknown-key
certificate: CertificateSpec = {"secretname": "tls", "secretName": "tls", "issuerRef": issuer}  # fault: typeddict-unknown-key
rule: NetworkPolicyIngressRule = {"form": [{"podSelector": {}}]}  # fault: typeddict-unknown-key
source: Source = {"repoUrl": "https://a", "repoURL": "https://a"}  # fault: typeddict-unknown-key
limit: MiddlewareSpec = {"rateLimitt": {"average": 1}}  # fault: typeddict-unknown-key
Prometheus(chart, "snake", spec={"external_labels": {"cluster": "hub"}})  # fault: typeddict-unknown-key
Deployment(
    chart,
    "deep",
    spec={
        "selector": {},
        "template": {"spec": {"containers": [{"name": "a", "imagee": "b"}]}},  # fault: typeddict-unknown-key
    },
)

# A required key that is missing.
Certificate(chart, "issuer", spec={"secretName": "tls"})  # fault: typeddict-item
container: Container = {"image": "web:1"}  # fault: typeddict-item
IngressRoute(chart, "match", spec={"routes": [{"kind": "Rule"}]})  # fault: typeddict-item
Application(chart, "destination", spec={"project": "default"})  # fault: typeddict-item
Deployment(chart, "template", spec={"selector": {}})  # fault: typeddict-item
ServiceMonitor(chart, "selector", spec={"endpoints": []})  # fault: typeddict-item

# A value of another type; a string is no list of strings.
port: ServicePort = {"port": "80"}  # fault: typeddict-item
Alertmanager(chart, "replicas", spec={"replicas": "two"})  # fault: typeddict-item
arguments: Container = {"name": "web", "args": "--verbose"}  # fault: typeddict-item
IngressRouteTCP(chart, "tls", spec={"routes": [], "tls": True})  # fault: typeddict-item
ConfigMap(chart, "data", data={"key": 1})  # fault: dict-item
AppProject(chart, "repositories", spec={"sourceRepos": [1]})  # fault: list-item
ApplicationSet(chart, "template", spec={"generators": {}, "goTemplate": True})  # fault: typeddict-item, typeddict-item

# A value that is not in the enum.
usage: CertificateSpec = {"secretName": "tls", "issuerRef": issuer, "usages": ["server"]}  # fault: list-item
scrape: ScrapeConfigSpec = {"scheme": "Https"}  # fault: typeddict-item
match: SourceMatch = {"name": "severity", "matchType": "~"}  # fault: typeddict-item
endpoint: PodMetricsEndpoint = {"scheme": "tcp"}  # fault: typeddict-item

# An argument that the kind does not have, and one that it needs.
ClusterIssuer(chart, "argument", sepc={}, spec={})  # fault: call-arg
ClusterRoleBinding(chart, "role", subjects=[])  # fault: call-arg
StorageClass(chart, "provisioner")  # fault: call-arg
