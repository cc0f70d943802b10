-- What does each labelled image show, and what did the model say?
-- Only labels with the source `sample` or `below_threshold` are of images drawn at random, and blind.
SELECT
    outcomes.upload_id,
    outcomes.bucket,
    outcomes.key,
    outcomes.version_id,
    outcomes.outcome,
    outcomes.label,
    CASE
        WHEN strpos(outcomes.key, '/') > 0 THEN split_part(outcomes.key, '/', 1)
        ELSE ''
    END AS folder,
    outcomes.confidence,
    true_labels.true_label,
    true_labels.source,
    true_labels.labelled_by,
    true_labels.labelled_at,
    true_labels.draw_probability,
    outcomes.is_imported
FROM outcomes
JOIN true_labels ON true_labels.dt = outcomes.dt AND true_labels.upload_id = outcomes.upload_id
WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
    AND true_labels.dt BETWEEN :from_dt AND :to_dt
    AND outcomes.is_classified
ORDER BY outcomes.upload_id
