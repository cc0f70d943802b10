"""Packaging and deploying the stack, on AWS and on the laptop."""
