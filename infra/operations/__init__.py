"""What an operator does with a running stack, one module for each command."""
