-- Why did images fail to be classified?
-- With the latest key of each reason. A redrive classifies them again.
SELECT
    reason,
    count(*) AS images,
    max_by(key, decided_at) AS latest_key,
    max_by(detail, decided_at) AS latest_detail
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND outcome = 'failed'
GROUP BY reason
ORDER BY images DESC, reason
