-- Current outcome of each object version.
-- A version is its id or, without one, its ETag.
SELECT key, coalesce(version_id, etag) AS version, outcome
FROM outcomes
