"""Athena: one interface, with an engine on AWS and one on the laptop."""
