-- How often is the model right, where people have said what an image shows?
-- By confidence, in steps of 0.05.
WITH labels (key, true_label) AS (VALUES :labels)
SELECT
    least(CAST(floor(round(outcomes.confidence * 20, 9)) AS integer), 19) AS bin,
    outcomes.outcome,
    count(*) AS images,
    sum(outcomes.confidence) AS confidence_sum,
    count_if(outcomes.label = labels.true_label) AS correct
FROM outcomes
JOIN labels ON labels.key = outcomes.key
WHERE dt BETWEEN :from_dt AND :to_dt AND outcomes.outcome IN ('accepted', 'needs_review')
GROUP BY least(CAST(floor(round(outcomes.confidence * 20, 9)) AS integer), 19), outcomes.outcome
ORDER BY bin, outcome
