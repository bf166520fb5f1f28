"""Benchmarks: each measures the project beside its peers in one run and reports ratios."""
