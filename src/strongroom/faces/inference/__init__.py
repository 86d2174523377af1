"""The prediction path: Open Inference Protocol, MLflow invocations, plain JSON."""
