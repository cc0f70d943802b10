-- What is the current outcome of each upload, the latest first?
-- One row per upload, whatever was retried or delivered twice.
SELECT
    uploaded_at,
    decided_at,
    bucket,
    key,
    version_id,
    outcome,
    label,
    confidence,
    reason,
    detail
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt
ORDER BY uploaded_at DESC, upload_id
LIMIT :limit
