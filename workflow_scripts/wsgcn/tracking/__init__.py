"""MLflow: runs, and views of its interface. The only wing that imports it."""
