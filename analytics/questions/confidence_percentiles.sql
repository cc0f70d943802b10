-- How confident is the model in each label, by week?
-- Percentiles are exact, of confidences rounded to a ten-thousandth.
WITH ranked AS (
    SELECT
        week,
        label,
        confidence,
        images,
        sum(images) OVER (PARTITION BY week, label ORDER BY confidence) AS up_to,
        sum(images) OVER (PARTITION BY week, label) AS in_all
    FROM (
        SELECT
            date_trunc('week', CAST(dt AS date)) AS week,
            label,
            round(confidence, 4) AS confidence,
            count(*) AS images
        FROM outcomes
        WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
        GROUP BY 1, 2, 3
    )
)
SELECT
    week,
    label,
    max(in_all) AS images,
    min(confidence) FILTER (WHERE up_to >= 0.05 * in_all) AS p05,
    min(confidence) FILTER (WHERE up_to >= 0.25 * in_all) AS p25,
    min(confidence) FILTER (WHERE up_to >= 0.5 * in_all) AS p50,
    min(confidence) FILTER (WHERE up_to >= 0.75 * in_all) AS p75,
    min(confidence) FILTER (WHERE up_to >= 0.95 * in_all) AS p95
FROM ranked
GROUP BY week, label
ORDER BY week, label
