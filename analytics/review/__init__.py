"""Sheets of images for a person to label, and the labels."""
