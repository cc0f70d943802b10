"""Athena's SQL, which is Trino's, in DuckDB's words."""
