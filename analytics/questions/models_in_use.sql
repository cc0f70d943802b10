-- Which model decided with which threshold, and when?
SELECT
    model_version,
    endpoint,
    threshold,
    count(*) AS images,
    min(decided_at) AS first_decided_at,
    max(decided_at) AS last_decided_at
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
GROUP BY model_version, endpoint, threshold
ORDER BY images DESC, model_version, endpoint, threshold
