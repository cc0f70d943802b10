-- Do the images themselves change from week to week?
-- Percentiles are exact, of brightness and sharpness rounded to a tenth, and of sizes rounded down to 16 bytes.
WITH counted AS (
    SELECT
        week,
        CASE
            WHEN grouping(brightness) = 0 THEN 'brightness'
            WHEN grouping(sharpness) = 0 THEN 'sharpness'
            ELSE 'size_bytes'
        END AS input,
        coalesce(brightness, sharpness, size_bytes) AS value,
        count(*) AS images
    FROM (
        SELECT
            date_trunc('week', CAST(dt AS date)) AS week,
            round(brightness, 1) AS brightness,
            round(sharpness, 1) AS sharpness,
            16e0 * (size_bytes / 16) AS size_bytes
        FROM outcomes
        WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
    )
    GROUP BY GROUPING SETS ((week, brightness), (week, sharpness), (week, size_bytes))
),
ranked AS (
    SELECT
        week,
        input,
        value,
        images,
        sum(images) OVER (PARTITION BY week, input ORDER BY value) AS up_to,
        sum(images) OVER (PARTITION BY week, input) AS in_all
    FROM counted
    WHERE value IS NOT NULL
)
SELECT
    week,
    max(in_all) AS images,
    min(value) FILTER (WHERE input = 'brightness' AND up_to >= 0.05 * in_all) AS brightness_p05,
    min(value) FILTER (WHERE input = 'brightness' AND up_to >= 0.5 * in_all) AS brightness_p50,
    min(value) FILTER (WHERE input = 'brightness' AND up_to >= 0.95 * in_all) AS brightness_p95,
    min(value) FILTER (WHERE input = 'sharpness' AND up_to >= 0.05 * in_all) AS sharpness_p05,
    min(value) FILTER (WHERE input = 'sharpness' AND up_to >= 0.5 * in_all) AS sharpness_p50,
    min(value) FILTER (WHERE input = 'sharpness' AND up_to >= 0.95 * in_all) AS sharpness_p95,
    min(value) FILTER (WHERE input = 'size_bytes' AND up_to >= 0.05 * in_all) AS size_bytes_p05,
    min(value) FILTER (WHERE input = 'size_bytes' AND up_to >= 0.5 * in_all) AS size_bytes_p50,
    min(value) FILTER (WHERE input = 'size_bytes' AND up_to >= 0.95 * in_all) AS size_bytes_p95
FROM ranked
GROUP BY week
ORDER BY week
