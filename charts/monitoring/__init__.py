"""What watches the fleet: metrics, logs, dashboards and alerts, a module a component."""
