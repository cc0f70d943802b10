"""The address of a console."""

HOST = "127.0.0.1"
TOKEN = "token"  # noqa: S105 - the name of a parameter
"""Parameter of the address that has the token."""


def address(port: int, token: str) -> str:
    """Return the address to open: whoever has it may use the console."""
    return f"http://{HOST}:{port}/?{TOKEN}={token}"
