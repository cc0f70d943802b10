-- Which of these uploads have an outcome other than a failure?
SELECT DISTINCT upload_id
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND upload_id IN (:upload_ids) AND outcome <> :failed
