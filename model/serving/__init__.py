"""The model behind an endpoint: the server, its container and SageMaker."""
