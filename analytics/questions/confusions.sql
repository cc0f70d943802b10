-- What do labelled images of each class really show?
-- The true label is NULL for an image that shows none of the classes.
SELECT
    outcomes.label,
    true_labels.true_label,
    outcomes.outcome,
    count(*) AS images
FROM outcomes
JOIN true_labels ON true_labels.dt = outcomes.dt AND true_labels.upload_id = outcomes.upload_id
WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
    AND true_labels.dt BETWEEN :from_dt AND :to_dt
    AND outcomes.is_classified
GROUP BY outcomes.label, true_labels.true_label, outcomes.outcome
ORDER BY images DESC, label, true_label, outcome
