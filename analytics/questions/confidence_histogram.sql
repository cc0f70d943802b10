-- How are confidences distributed in each week?
-- In steps of 0.01: bin 57 is from 0.57 to just below 0.58. Rounding first is necessary: 0.57 * 100 is 56.99999999999999.
SELECT
    date_trunc('week', CAST(dt AS date)) AS week,
    least(CAST(floor(round(confidence * 100, 9)) AS integer), 99) AS bin,
    least(floor(round(confidence * 100, 9)), 99e0) / 100 AS from_confidence,
    count(*) AS images,
    sum(CAST(confidence * 1e10 AS bigint)) / 1e10 AS confidence_sum
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
GROUP BY 1, 2, 3
ORDER BY week, bin
