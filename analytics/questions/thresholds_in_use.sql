-- Which threshold decided about each class, and when?
SELECT
    label,
    threshold,
    count(*) AS images,
    min(decided_at) AS first_decided_at,
    max(decided_at) AS last_decided_at
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified AND threshold IS NOT NULL
GROUP BY label, threshold
ORDER BY label, first_decided_at, threshold
