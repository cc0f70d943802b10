-- Why were images rejected?
-- With the latest key of each reason.
SELECT
    reason,
    count(*) AS images,
    max_by(key, decided_at) AS latest_key,
    max_by(detail, decided_at) AS latest_detail
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND outcome = 'rejected'
GROUP BY reason
ORDER BY images DESC, reason
