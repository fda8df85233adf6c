"""The trained network outside of the workflow: as an MLflow model that a server loads, and as ONNX."""
