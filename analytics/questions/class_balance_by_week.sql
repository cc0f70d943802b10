-- What share of each week's classified images has each label?
SELECT
    date_trunc('week', CAST(dt AS date)) AS week,
    label,
    count(*) AS images,
    CAST(count(*) AS double)
        / sum(count(*)) OVER (PARTITION BY date_trunc('week', CAST(dt AS date))) AS share,
    count_if(outcome = 'accepted') AS accepted,
    sum(CAST(confidence * 1e10 AS bigint)) / 1e10 / count(confidence) AS mean_confidence -- exact: the order of rows is open
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
GROUP BY date_trunc('week', CAST(dt AS date)), label
ORDER BY week, images DESC, label
