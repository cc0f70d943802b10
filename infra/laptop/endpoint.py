"""Runs the model's endpoint for as long as the supervisor lives.

    python -m infra.laptop.endpoint HOME MODEL_FOLDER PORT

HOME names the system that the process belongs to, in the list of processes.
"""

import sys
from pathlib import Path

from infra.laptop.environment import Credentials
from infra.laptop.lifeline import end_with_parent
from infra.laptop.scheduling import run_without_interrupting
from model.serving import serve

if __name__ == "__main__":
    end_with_parent()
    run_without_interrupting()
    home, *arguments = sys.argv[1:]
    sys.exit(serve.main(arguments, Credentials.of(Path(home)).model_path))
