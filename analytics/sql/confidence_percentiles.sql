-- How sure is the model of each label, week by week?
-- Percentiles are approximate.
SELECT
    week,
    label,
    images,
    p[1] AS p05,
    p[2] AS p25,
    p[3] AS p50,
    p[4] AS p75,
    p[5] AS p95
FROM (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        label,
        count(*) AS images,
        approx_percentile(confidence, ARRAY[0.05, 0.25, 0.5, 0.75, 0.95]) AS p
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt AND outcome IN ('accepted', 'needs_review')
    GROUP BY date_trunc('week', CAST(dt AS date)), label
)
ORDER BY week, label
