-- How long did images take, by week and (where dt is not null) by day?
-- Percentiles are exact. Total is from the upload to the model's first answer, including queues and retries; later decisions do not count. The others are within Serialize and Classify. Imported images are not timed and are left out.
WITH counted AS (
    SELECT
        dt,
        CASE
            WHEN grouping(total_ms) = 0 THEN 'total'
            WHEN grouping(serialize_ms) = 0 THEN 'serialize'
            ELSE 'classify'
        END AS step,
        coalesce(total_ms, serialize_ms, classify_ms) AS ms,
        count(*) AS images
    FROM (
        SELECT
            dt,
            CAST(date_diff('millisecond', uploaded_at, first_decided_at) AS double) AS total_ms,
            serialize_ms,
            classify_ms
        FROM outcomes
        WHERE dt BETWEEN :from_dt AND :to_dt
            AND is_classified
            AND classify_ms IS NOT NULL
    )
    GROUP BY GROUPING SETS ((dt, total_ms), (dt, serialize_ms), (dt, classify_ms))
),
ranked AS (
    SELECT
        week,
        dt,
        step,
        ms,
        images,
        sum(images) OVER (PARTITION BY week, dt, step ORDER BY ms) AS up_to,
        sum(images) OVER (PARTITION BY week, dt, step) AS in_all
    FROM (
        SELECT week, dt, step, ms, sum(images) AS images
        FROM (
            SELECT date_trunc('week', CAST(dt AS date)) AS week, dt, step, ms, images
            FROM counted
            WHERE ms IS NOT NULL
        )
        GROUP BY GROUPING SETS ((week, step, ms), (week, dt, step, ms))
    )
)
SELECT
    week,
    dt,
    sum(images) FILTER (WHERE step = 'total') AS images,
    min(ms) FILTER (WHERE step = 'total' AND up_to >= 0.5 * in_all) AS total_p50_ms,
    min(ms) FILTER (WHERE step = 'total' AND up_to >= 0.95 * in_all) AS total_p95_ms,
    min(ms) FILTER (WHERE step = 'total' AND up_to >= 0.99 * in_all) AS total_p99_ms,
    min(ms) FILTER (WHERE step = 'serialize' AND up_to >= 0.5 * in_all) AS serialize_p50_ms,
    min(ms) FILTER (WHERE step = 'serialize' AND up_to >= 0.95 * in_all) AS serialize_p95_ms,
    min(ms) FILTER (WHERE step = 'serialize' AND up_to >= 0.99 * in_all) AS serialize_p99_ms,
    sum(CAST(ms * images * 1e6 AS bigint)) FILTER (WHERE step = 'serialize') / 1e6
        / sum(images) FILTER (WHERE step = 'serialize') AS serialize_mean_ms,
    min(ms) FILTER (WHERE step = 'classify' AND up_to >= 0.5 * in_all) AS classify_p50_ms,
    min(ms) FILTER (WHERE step = 'classify' AND up_to >= 0.95 * in_all) AS classify_p95_ms,
    min(ms) FILTER (WHERE step = 'classify' AND up_to >= 0.99 * in_all) AS classify_p99_ms,
    sum(CAST(ms * images * 1e6 AS bigint)) FILTER (WHERE step = 'classify') / 1e6
        / sum(images) FILTER (WHERE step = 'classify') AS classify_mean_ms
FROM ranked
GROUP BY week, dt
ORDER BY week, dt
