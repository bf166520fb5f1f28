"""Where this runs: the operating system, the machine, the container's limits, the pod.

Read from the system now and then and not for each request: whoami asks the kernel for its
interfaces each time, which is most of what its answer costs.
"""

import os
import platform
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import psutil

_CGROUP: Final = Path("/sys/fs/cgroup")

WHERE: Final = {
    "cluster": "CLUSTER",
    "region": "REGION",
    "namespace": "POD_NAMESPACE",
    "pod": "POD_NAME",
    "node": "NODE_NAME",
}
"""What a pod is told about itself, and the environment variable that says so."""


@dataclass(frozen=True, slots=True)
class Host:
    """The system at one time. Sizes in bytes, durations in seconds, None where nobody says."""

    hostname: str
    addresses: tuple[str, ...]
    distribution: str
    kernel: str
    architecture: str
    python: str
    cpus: int
    cpu_limit: float | None
    memory: int
    memory_available: int
    memory_limit: int | None
    memory_used: int | None
    uptime: float
    load: tuple[float, float, float]


def where(environment: Mapping[str, str]) -> dict[str, str]:
    """Cluster, region, namespace, pod and node, of those that are known."""
    return {name: found for name, key in WHERE.items() if (found := environment.get(key))}


class Recent:
    """The host as it was at most ``seconds`` ago."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0
        self._host: Host | None = None

    def __call__(self) -> Host:
        now = time.monotonic()
        if self._host is None or now >= self._until:
            self._host = look()
            self._until = now + self._seconds
        return self._host


def look() -> Host:
    memory = psutil.virtual_memory()
    return Host(
        hostname=socket.gethostname(),
        addresses=_addresses(),
        **_constant(),
        cpus=os.cpu_count() or 1,
        cpu_limit=_cpu_limit(),
        memory=memory.total,
        memory_available=memory.available,
        memory_limit=_bytes("memory.max"),
        memory_used=_bytes("memory.current"),
        uptime=time.time() - psutil.boot_time(),
        load=os.getloadavg(),
    )


@cache
def _constant() -> dict[str, str]:
    system = platform.uname()
    try:
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        distribution = system.system
    return {
        "distribution": distribution,
        "kernel": f"{system.system} {system.release}",
        "architecture": system.machine,
        "python": f"{platform.python_implementation()} {'.'.join(map(str, sys.version_info[:3]))}",
    }


def _addresses() -> tuple[str, ...]:
    return tuple(
        each.address.partition("%")[0]
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family in (socket.AF_INET, socket.AF_INET6)
    )


def _cgroup(name: str) -> str:
    """What version 2 of cgroups says; version 1 is not looked at."""
    try:
        return (_CGROUP / name).read_text().strip()
    except OSError:
        return ""


def _bytes(name: str) -> int | None:
    text = _cgroup(name)
    return int(text) if text.isdigit() else None


def _cpu_limit() -> float | None:
    quota, _, period = _cgroup("cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
