"""Runs the console of the laptop's system for as long as the supervisor lives.

    python -m infra.laptop.console HOME STACK_FILE

HOME names the system that the process belongs to, in the list of processes.
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from infra.console.address import HOST
from infra.console.serve import serve
from infra.laptop.environment import Credentials
from infra.laptop.lifeline import end_with_parent
from infra.stack import Stack
from model.serving.connections import listen

if __name__ == "__main__":
    end_with_parent()
    home, stack_file = map(Path, sys.argv[1:])
    stack = Stack.load(stack_file)
    with listen(HOST, urlsplit(stack.console_url or "").port or 0) as sock:
        serve(sock, stack, Credentials.of(home).console_token, home / "console")
