-- Which images wait for a person, the longest waiting first?
SELECT
    uploaded_at,
    bucket,
    key,
    version_id,
    label,
    confidence,
    threshold,
    probabilities
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND outcome = 'needs_review'
ORDER BY uploaded_at, upload_id
LIMIT :limit
