-- How many rows are there of uploads under a prefix, by the times of upload and decision?
SELECT count(*) AS stored
FROM predictions
WHERE dt BETWEEN :from_dt AND :to_dt
    AND uploaded_at >= :uploaded_since AND decided_at >= :decided_since
    AND starts_with(key, :prefix)
