-- Which version of the model decided last about images of the bucket?
SELECT model_version
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified AND NOT is_imported
ORDER BY decided_at DESC
LIMIT 1
