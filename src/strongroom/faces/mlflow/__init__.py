"""MLflow's own server, mounted behind the gate."""
