-- What happened in each week, in one row: what became of the images, how sure was the model, how long did it take?
SELECT
    week,
    images,
    accepted,
    needs_review,
    rejected,
    failed,
    expected_precision,
    mean_confidence,
    total_ms[1] AS total_p50_ms,
    total_ms[2] AS total_p95_ms
FROM (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        count(*) AS images,
        count_if(outcome = 'accepted') AS accepted,
        count_if(outcome = 'needs_review') AS needs_review,
        count_if(outcome = 'rejected') AS rejected,
        count_if(outcome = 'failed') AS failed,
        avg(confidence) FILTER (WHERE outcome = 'accepted') AS expected_precision,
        avg(confidence) FILTER (WHERE outcome IN ('accepted', 'needs_review')) AS mean_confidence,
        approx_percentile(CAST(date_diff('millisecond', uploaded_at, decided_at) AS double), ARRAY[0.5, 0.95])
            FILTER (WHERE outcome IN ('accepted', 'needs_review') AND classify_ms IS NOT NULL) AS total_ms
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY date_trunc('week', CAST(dt AS date))
)
ORDER BY week
