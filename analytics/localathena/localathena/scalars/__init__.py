"""Scalar functions in Python: what DuckDB lacks, or answers otherwise than Trino.

`registry` lists them. They import nothing of DuckDB or sqlglot, and the translator imports few of them.
"""
