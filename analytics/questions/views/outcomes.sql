-- Current outcome of each upload: one row for each. The outcome with the smallest rank wins, then the latest decision.
-- first_decided_at is the time of the first outcome of equal rank: for a classified image, of the model's first answer.
--
-- Compaction writes a day as one generation of files: rows-current-GENERATION-… hold one row for each upload of the day,
-- rows-history-GENERATION-… all other rows. A day of one generation and nothing else is read as it is. Any other day may
-- hold an upload several times: delivered twice, retried, redriven, classified by several model versions, or in two
-- generations while one replaces the other. All rows of an upload are in one day, and a filter on dt reaches each part.
--
-- :outcome_rank becomes CASE outcome WHEN 'accepted' THEN 0 … END, from workflow/outcome.py like the others.
WITH mixed AS (
    SELECT dt
    FROM (
        SELECT dt, regexp_extract("$path", '/rows-(current|history)-([0-9a-f]+)-[0-9]+[.]parquet$', 2) AS generation
        FROM predictions
        GROUP BY dt, "$path"
    )
    GROUP BY dt
    HAVING count(*) > count(generation) OR min(generation) <> max(generation)
)
SELECT
    result_id,
    upload_id,
    bucket,
    key,
    version_id,
    etag,
    size_bytes,
    uploaded_at,
    decided_at,
    first_at AS first_decided_at,
    outcome,
    label,
    confidence,
    threshold,
    probabilities,
    other_probability,
    unfamiliarity,
    reason,
    detail,
    model_version,
    endpoint,
    image_format,
    width_px,
    height_px,
    brightness,
    sharpness,
    serialize_ms,
    classify_ms,
    execution_arn,
    (outcome IN (:classified_outcomes)) = true AS is_classified, -- = true: DuckDB looks at a dictionary, not at each row
    bucket = :imported_bucket AS is_imported,
    dt
FROM (
    SELECT
        stored.*,
        1 AS nth_of_upload,
        coalesce(stored.first_decided_at, stored.decided_at) AS first_at
    FROM predictions AS stored
    LEFT JOIN mixed ON mixed.dt = stored.dt
    WHERE stored."$path" LIKE '%/rows-current-%' AND mixed.dt IS NULL
    UNION ALL
    SELECT
        stored.*,
        row_number() OVER (
            PARTITION BY stored.dt, stored.upload_id
            ORDER BY :outcome_rank, stored.decided_at DESC, stored.result_id
        ) AS nth_of_upload,
        min(coalesce(stored.first_decided_at, stored.decided_at)) OVER (
            PARTITION BY stored.dt, stored.upload_id, :outcome_rank
        ) AS first_at
    FROM predictions AS stored
    JOIN mixed ON mixed.dt = stored.dt
)
WHERE nth_of_upload = 1
