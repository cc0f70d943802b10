-- Where do the challenger and the model in use agree?
-- One row for each pair of models and of answers. challenger_label is NULL where the challenger failed.
SELECT
    outcomes.model_version,
    challengers.endpoint AS challenger,
    challengers.model_version AS challenger_version,
    outcomes.outcome,
    challengers.outcome AS challenger_outcome,
    outcomes.label,
    challengers.label AS challenger_label,
    count(*) AS images,
    max(challengers.decided_at) AS last_decided_at
FROM outcomes
JOIN challenger_answers AS challengers
    ON challengers.dt = outcomes.dt AND challengers.upload_id = outcomes.upload_id
WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
    AND challengers.dt BETWEEN :from_dt AND :to_dt
    AND outcomes.is_classified
    AND outcomes.endpoint IS DISTINCT FROM challengers.endpoint -- after a promotion, an image may be decided by its challenger
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY images DESC, label, challenger_label, outcome, challenger_outcome, model_version, challenger_version
