"""The table: its schema, how rows are written, merged, compacted and compared with the bucket."""
