-- How many rows of each object version does the table hold, whether they are current or not?
-- A version is its id or, without one, its ETag.
SELECT key, coalesce(version_id, etag) AS version, count(*) AS stored
FROM predictions
GROUP BY 1, 2
