-- How long did images take, by week and (where dt is not null) by day?
-- Percentiles are approximate. Total is from upload to decision, queues and retries included; the others are within Serialize and Classify.
SELECT
    week,
    dt,
    images,
    total[1] AS total_p50_ms,
    total[2] AS total_p95_ms,
    total[3] AS total_p99_ms,
    serialize[1] AS serialize_p50_ms,
    serialize[2] AS serialize_p95_ms,
    serialize[3] AS serialize_p99_ms,
    serialize_mean_ms,
    classify[1] AS classify_p50_ms,
    classify[2] AS classify_p95_ms,
    classify[3] AS classify_p99_ms,
    classify_mean_ms
FROM (
    SELECT
        week,
        dt,
        count(*) AS images,
        approx_percentile(total_ms, ARRAY[0.5, 0.95, 0.99]) AS total,
        approx_percentile(serialize_ms, ARRAY[0.5, 0.95, 0.99]) AS serialize,
        avg(serialize_ms) AS serialize_mean_ms,
        approx_percentile(classify_ms, ARRAY[0.5, 0.95, 0.99]) AS classify,
        avg(classify_ms) AS classify_mean_ms
    FROM (
        SELECT
            date_trunc('week', CAST(dt AS date)) AS week,
            dt,
            CAST(date_diff('millisecond', uploaded_at, decided_at) AS real) AS total_ms, -- half the memory
            CAST(serialize_ms AS real) AS serialize_ms,
            CAST(classify_ms AS real) AS classify_ms
        FROM outcomes
        WHERE dt BETWEEN :from_dt AND :to_dt AND outcome IN ('accepted', 'needs_review')
    )
    GROUP BY GROUPING SETS ((week), (week, dt))
)
ORDER BY week, dt
