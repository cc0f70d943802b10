-- What became of each upload: exactly one row for each, the best outcome first, then the latest. Its
-- first_decided_at says since when there was one as good: of an answer of the model, the time of the first answer.
-- Compaction writes a day as one edition: files named once-EDITION-… hold each of its uploads once, rest-EDITION-…
-- whatever else was said of them. A day of one edition and nothing else is read as it stands. Any other day may
-- hold an upload several times: delivered twice, retried, redriven, seen by several model versions, or in two
-- editions while one takes the place of the other. All copies of an upload are in one day, and a filter on dt
-- reaches each part.
WITH mixed AS (
    SELECT dt
    FROM (
        SELECT dt, regexp_extract("$path", '/[a-z]+-([0-9a-f]+)-[0-9]+[.]parquet$', 1) AS edition
        FROM predictions
    )
    GROUP BY dt
    HAVING count(*) > count(edition) OR min(edition) <> max(edition)
)
SELECT
    stored.result_id,
    stored.upload_id,
    stored.bucket,
    stored.key,
    stored.version_id,
    stored.etag,
    stored.size_bytes,
    stored.uploaded_at,
    stored.decided_at,
    coalesce(stored.first_decided_at, stored.decided_at) AS first_decided_at,
    stored.outcome,
    stored.label,
    stored.confidence,
    stored.threshold,
    stored.probabilities,
    stored.reason,
    stored.detail,
    stored.model_version,
    stored.endpoint,
    stored.image_format,
    stored.width_px,
    stored.height_px,
    stored.brightness,
    stored.sharpness,
    stored.serialize_ms,
    stored.classify_ms,
    stored.execution_arn,
    stored.dt
FROM predictions AS stored
LEFT JOIN mixed ON mixed.dt = stored.dt
WHERE stored."$path" LIKE '%/once-%' AND mixed.dt IS NULL
UNION ALL
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
    as_good_since AS first_decided_at,
    outcome,
    label,
    confidence,
    threshold,
    probabilities,
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
    dt
FROM (
    SELECT
        stored.*,
        row_number() OVER (
            PARTITION BY stored.dt, stored.upload_id
            ORDER BY
                CASE stored.outcome WHEN 'failed' THEN 2 WHEN 'rejected' THEN 1 ELSE 0 END,
                stored.decided_at DESC,
                stored.result_id
        ) AS place,
        min(coalesce(stored.first_decided_at, stored.decided_at)) OVER (
            PARTITION BY
                stored.dt,
                stored.upload_id,
                CASE stored.outcome WHEN 'failed' THEN 2 WHEN 'rejected' THEN 1 ELSE 0 END
        ) AS as_good_since
    FROM predictions AS stored
    JOIN mixed ON mixed.dt = stored.dt
)
WHERE place = 1
