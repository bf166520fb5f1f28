"""What operators do to live clusters: bring them up, look at them, rotate credentials, promote.

The commands know a cluster as ``operations.cluster.Cluster``, whose errors say what was refused and
how to fix it. ``operations.kubectl`` is the only way to a real one.
"""
