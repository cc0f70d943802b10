-- What happened in each week, in one row: what became of the images, how sure was the model, how long did it take?
-- Percentiles are counted, as in latency.sql.
WITH counted AS (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        outcome,
        CASE
            WHEN outcome IN ('accepted', 'needs_review') AND classify_ms IS NOT NULL
                THEN CAST(date_diff('millisecond', uploaded_at, first_decided_at) AS double)
        END AS total_ms,
        count(*) AS images,
        count_if(bucket <> 'data-capture') AS uploaded, -- and not imported, without a picture to look at
        count(confidence) AS scored,
        sum(confidence) AS confidence
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY 1, 2, 3
),
ranked AS (
    SELECT
        week,
        outcome,
        total_ms,
        images,
        uploaded,
        scored,
        confidence,
        sum(images) OVER (PARTITION BY week, total_ms IS NULL ORDER BY total_ms) AS up_to,
        sum(images) OVER (PARTITION BY week, total_ms IS NULL) AS in_all
    FROM counted
)
SELECT
    week,
    sum(images) AS images,
    coalesce(sum(images) FILTER (WHERE outcome = 'accepted'), 0) AS accepted,
    coalesce(sum(images) FILTER (WHERE outcome = 'needs_review'), 0) AS needs_review,
    coalesce(sum(uploaded) FILTER (WHERE outcome = 'needs_review'), 0) AS to_review,
    coalesce(sum(images) FILTER (WHERE outcome = 'rejected'), 0) AS rejected,
    coalesce(sum(images) FILTER (WHERE outcome = 'failed'), 0) AS failed,
    sum(confidence) FILTER (WHERE outcome = 'accepted')
        / sum(scored) FILTER (WHERE outcome = 'accepted') AS expected_precision,
    sum(confidence) FILTER (WHERE outcome IN ('accepted', 'needs_review'))
        / sum(scored) FILTER (WHERE outcome IN ('accepted', 'needs_review')) AS mean_confidence,
    min(total_ms) FILTER (WHERE up_to >= 0.5 * in_all) AS total_p50_ms,
    min(total_ms) FILTER (WHERE up_to >= 0.95 * in_all) AS total_p95_ms
FROM ranked
GROUP BY week
ORDER BY week
