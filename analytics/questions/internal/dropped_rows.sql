-- How many rows, decided since a time, does each object version under a prefix have, and what is its outcome,
-- and after how many milliseconds?
-- A version is its id or, without one, its ETag.
SELECT
    stored.key,
    stored.version,
    stored.stored,
    current_ones.outcome,
    current_ones.latency_ms
FROM (
    SELECT key, coalesce(version_id, etag) AS version, count(*) AS stored
    FROM predictions
    WHERE dt BETWEEN :from_dt AND :to_dt
        AND uploaded_at >= :uploaded_since AND decided_at >= :decided_since
        AND starts_with(key, :prefix)
    GROUP BY 1, 2
) AS stored
LEFT JOIN (
    SELECT
        key,
        coalesce(version_id, etag) AS version,
        min(outcome) AS outcome,
        min(date_diff('millisecond', uploaded_at, decided_at)) AS latency_ms
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt AND uploaded_at >= :uploaded_since AND starts_with(key, :prefix)
    GROUP BY 1, 2
) AS current_ones ON current_ones.key = stored.key AND current_ones.version = stored.version
