-- What happened in each week, by outcome and (where outcome is null) in all?
-- mean_confidence is of classified images; of accepted ones it is the expected precision. Percentiles are counted, as in latency.sql.
WITH counted AS (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        outcome,
        CASE
            WHEN is_classified AND classify_ms IS NOT NULL
                THEN CAST(date_diff('millisecond', uploaded_at, first_decided_at) AS double)
        END AS total_ms,
        count(*) AS images,
        count_if(NOT is_imported) AS uploaded, -- an imported image has no picture to look at
        count(confidence) FILTER (WHERE is_classified) AS scored,
        sum(CAST(confidence * 1e10 AS bigint)) FILTER (WHERE is_classified) AS confidence -- exact: the order of rows is open
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY 1, 2, 3
),
both AS (
    SELECT
        week,
        outcome,
        total_ms,
        sum(images) AS images,
        sum(uploaded) AS uploaded,
        sum(scored) AS scored,
        sum(confidence) AS confidence
    FROM counted
    GROUP BY GROUPING SETS ((week, total_ms), (week, outcome, total_ms))
),
ranked AS (
    SELECT
        *,
        sum(images) OVER (PARTITION BY week, outcome, total_ms IS NULL ORDER BY total_ms) AS up_to,
        sum(images) OVER (PARTITION BY week, outcome, total_ms IS NULL) AS in_all
    FROM both
)
SELECT
    week,
    outcome,
    sum(images) AS images,
    sum(uploaded) AS uploaded,
    sum(confidence) / 1e10 / nullif(sum(scored), 0) AS mean_confidence,
    min(total_ms) FILTER (WHERE up_to >= 0.5 * in_all) AS total_p50_ms,
    min(total_ms) FILTER (WHERE up_to >= 0.95 * in_all) AS total_p95_ms
FROM ranked
GROUP BY week, outcome
ORDER BY week, outcome
