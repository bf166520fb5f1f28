"""What objects say of the fleet: hosts, and Secrets that are made outside Git.

``rendering.validation.references`` checks that whatever an object names is there at all.
"""

from collections.abc import Sequence

from fleet.registry import Fleet
from rendering.validation.objects import ClusterObjects, Object


def test_pods_pull_by_the_secret_of_the_registry(objects: Sequence[Object], fleet: Fleet) -> None:
    """No other Secret is made for pulling."""
    for region in fleet.regions:
        cluster = ClusterObjects(each for each in objects if each.cluster == region.name)
        pulls = {
            pull["name"]
            for _, template in cluster.workloads()
            for pull in template["spec"].get("imagePullSecrets", ())
        }
        assert pulls == {placement.pull_secret for placement in region.apps.values()}


def test_every_fleet_address_is_used_where_it_belongs(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    """Each cluster's routes and certificates speak of its own hosts and of nobody else's."""
    for each in objects:
        if each.kind in ("Certificate", "IngressRoute", "IngressRouteTCP"):
            # The route by which the kubelet asks Traefik is of no host.
            if each.namespace == "traefik":
                continue
            text = str(each.body["spec"])
            hosts = [
                host
                for cluster in fleet.clusters
                for host in cluster.hosts
                if f"'{host}'" in text or f"`{host}`" in text
            ]
            assert hosts
            assert set(hosts) <= set(fleet.cluster(each.cluster).hosts), each
