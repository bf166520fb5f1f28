"""Constructs: one module a component, from facts of the fleet to Kubernetes objects."""

import imports  # noqa: F401 - settles which node jsii runs on, before cdk8s starts it
