-- Which images are the most unlike the model's classes?
SELECT
    bucket,
    key,
    version_id,
    label,
    confidence,
    threshold,
    unfamiliarity,
    uploaded_at
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND reason = 'unlike_training'
ORDER BY unfamiliarity DESC, upload_id
LIMIT :limit
