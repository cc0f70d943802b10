-- How many rows are there of uploads under a prefix since a time?
SELECT count(*) AS stored
FROM predictions
WHERE dt BETWEEN :from_dt AND :to_dt AND uploaded_at >= :since AND starts_with(key, :prefix)
