-- Why were images rejected?
-- With the latest key of each reason.
SELECT
    reason,
    count(*) AS images,
    max_by(key, CAST(decided_at AS varchar) || upload_id) AS latest_key,
    max_by(detail, CAST(decided_at AS varchar) || upload_id) AS latest_detail
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND outcome = 'rejected'
GROUP BY reason
ORDER BY images DESC, reason
