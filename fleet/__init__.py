"""The registry of the fleet, and the commands that work on it. No Kubernetes object is made here."""
