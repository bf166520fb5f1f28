"""A cluster in memory that behaves like an API server, as far as the commands use one.

Its texts are those of Kubernetes 1.34. What controllers do takes its time, by a clock that stands
still between calls. tests/operations/test_contract.py holds it and kubectl to the same claims.
"""

from tests.memory.clock import Clock
from tests.memory.cluster import MemoryCluster
from tests.memory.journal import Interrupted, Journal
from tests.memory.storage import Key

__all__ = ["Clock", "Interrupted", "Journal", "Key", "MemoryCluster"]
