"""The registry of the fleet, and the commands that work on it. Makes no Kubernetes object."""
