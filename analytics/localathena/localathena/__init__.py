"""Athena's SQL (Trino's dialect) on DuckDB. `engine.LocalAthena` runs it."""
