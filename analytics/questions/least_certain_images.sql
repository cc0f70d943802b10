-- Which images was the model least certain about?
SELECT
    bucket,
    key,
    version_id,
    label,
    confidence,
    threshold,
    uploaded_at
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
ORDER BY confidence, upload_id
LIMIT :limit
