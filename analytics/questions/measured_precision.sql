-- How often is the model correct on labelled images?
-- By confidence, in steps of 0.05. For an image that shows none of the classes every answer is wrong.
SELECT
    least(CAST(floor(round(outcomes.confidence * 20, 9)) AS integer), 19) AS bin,
    least(floor(round(outcomes.confidence * 20, 9)), 19e0) / 20 AS from_confidence,
    outcomes.outcome,
    count(*) AS images,
    sum(CAST(outcomes.confidence * 1e10 AS bigint)) / 1e10 AS confidence_sum,
    count_if(outcomes.label = true_labels.true_label) AS correct,
    count_if(outcomes.label = true_labels.true_label) / (count(*) * 1e0) AS correct_share
FROM outcomes
JOIN true_labels ON true_labels.dt = outcomes.dt AND true_labels.upload_id = outcomes.upload_id
WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
    AND true_labels.dt BETWEEN :from_dt AND :to_dt
    AND outcomes.is_classified
GROUP BY 1, 2, 3
ORDER BY bin, outcome
