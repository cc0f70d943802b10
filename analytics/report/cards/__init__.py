"""The cards of the report's page, by chapter."""
