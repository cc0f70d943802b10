"""Labelled images: archives, folders and drawings."""
