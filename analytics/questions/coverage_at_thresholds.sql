-- What would another threshold accept: what share of the images, and what share of those correctly?
-- Expected precision is the mean confidence of accepted images. It is valid as far as confidences are calibrated.
-- An image that is unlike the classes is not accepted at any threshold.
WITH bins AS (
    SELECT
        CASE WHEN reason = 'unlike_training' THEN -1
            ELSE floor(round(confidence * 100, 9)) -- 0.57 * 100 is 56.99999999999999
        END AS bin,
        count(*) AS images,
        sum(CAST(confidence * 1e10 AS bigint)) AS confidence_sum -- exact: the order of rows is open
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
    GROUP BY 1
)
SELECT
    percent / 1e2 AS threshold,
    coalesce(sum(images) FILTER (WHERE bin >= percent), 0) AS accepted,
    coalesce(sum(images) FILTER (WHERE bin >= percent), 0) / CAST(sum(images) AS double) AS coverage,
    sum(confidence_sum) FILTER (WHERE bin >= percent) / 1e10
        / sum(images) FILTER (WHERE bin >= percent) AS expected_precision
FROM bins
CROSS JOIN UNNEST(sequence(50, 99)) AS thresholds (percent)
GROUP BY percent
ORDER BY threshold
