-- For each object version in the listing or in the table: its current outcome, and how many rows readers see.
-- A version is its id or, without one, its ETag: what was stored without versioning, or while it was suspended.
WITH listed AS (
    SELECT key, coalesce(version_id, etag) AS version, version_id, etag, size_bytes, uploaded_at
    FROM uploaded
    WHERE dt = :listing
),
recorded AS (
    SELECT
        key,
        coalesce(version_id, etag) AS version,
        min(version_id) AS version_id,
        count(*) AS outcomes,
        min_by(outcome, ROW(:outcome_rank, outcome)) AS outcome,
        min(etag) AS etag,
        min(size_bytes) AS size_bytes,
        -- Of the current row, where several days have one: by rank, then the latest decision, then the earliest upload.
        min_by(uploaded_at, ROW(:outcome_rank, -to_unixtime(decided_at), uploaded_at)) AS uploaded_at
    FROM outcomes
    WHERE bucket = :bucket AND starts_with(key, :prefix)
    GROUP BY key, coalesce(version_id, etag)
)
SELECT
    coalesce(listed.key, recorded.key) AS key,
    coalesce(listed.version_id, recorded.version_id) AS version_id,
    coalesce(listed.etag, recorded.etag) AS etag,
    coalesce(listed.size_bytes, recorded.size_bytes) AS size_bytes,
    coalesce(recorded.uploaded_at, listed.uploaded_at) AS uploaded_at,
    listed.uploaded_at IS NOT NULL AS is_listed,
    recorded.outcome AS outcome,
    coalesce(recorded.outcomes, 0) AS outcomes
FROM listed
FULL OUTER JOIN recorded ON listed.key = recorded.key AND listed.version = recorded.version
