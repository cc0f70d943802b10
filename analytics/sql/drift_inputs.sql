-- Do the images themselves look different, week by week?
-- Percentiles are approximate.
SELECT
    week,
    images,
    brightness[1] AS brightness_p05,
    brightness[2] AS brightness_p50,
    brightness[3] AS brightness_p95,
    sharpness[1] AS sharpness_p05,
    sharpness[2] AS sharpness_p50,
    sharpness[3] AS sharpness_p95,
    size_bytes[1] AS size_bytes_p05,
    size_bytes[2] AS size_bytes_p50,
    size_bytes[3] AS size_bytes_p95
FROM (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        count(*) AS images,
        approx_percentile(CAST(brightness AS real), ARRAY[0.05, 0.5, 0.95]) AS brightness,
        approx_percentile(CAST(sharpness AS real), ARRAY[0.05, 0.5, 0.95]) AS sharpness,
        approx_percentile(CAST(size_bytes AS real), ARRAY[0.05, 0.5, 0.95]) AS size_bytes
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt AND outcome IN ('accepted', 'needs_review')
    GROUP BY date_trunc('week', CAST(dt AS date))
)
ORDER BY week
