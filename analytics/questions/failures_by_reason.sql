-- Why did images fail to be classified?
-- With the latest key of each reason. A redrive classifies them again.
SELECT
    reason,
    count(*) AS images,
    max_by(key, CAST(decided_at AS varchar) || upload_id) AS latest_key,
    max_by(detail, CAST(decided_at AS varchar) || upload_id) AS latest_detail
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND outcome = 'failed'
GROUP BY reason
ORDER BY images DESC, reason
