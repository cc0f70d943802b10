-- Which of the two models is right about each image that was drawn at random and labelled blind?
-- outcome_images is how many images of its outcome both models saw, labelled or not. In the order of the labels.
WITH pairs AS (
    SELECT
        outcomes.dt,
        outcomes.upload_id,
        outcomes.model_version,
        challengers.model_version AS challenger_version,
        outcomes.outcome,
        outcomes.label,
        challengers.label AS challenger_label
    FROM outcomes
    JOIN challenger_answers AS challengers
        ON challengers.dt = outcomes.dt AND challengers.upload_id = outcomes.upload_id
    WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
        AND challengers.dt BETWEEN :from_dt AND :to_dt
        AND outcomes.is_classified
        AND NOT outcomes.is_imported
        AND outcomes.endpoint IS DISTINCT FROM challengers.endpoint
        AND challengers.label IS NOT NULL
),
counted AS (
    SELECT model_version, challenger_version, outcome, count(*) AS outcome_images
    FROM pairs
    GROUP BY model_version, challenger_version, outcome
)
SELECT
    pairs.upload_id,
    pairs.model_version,
    pairs.challenger_version,
    pairs.outcome,
    pairs.label,
    pairs.challenger_label,
    true_labels.true_label,
    true_labels.labelled_at,
    counted.outcome_images
FROM pairs
JOIN true_labels ON true_labels.dt = pairs.dt AND true_labels.upload_id = pairs.upload_id
JOIN counted
    ON counted.model_version = pairs.model_version
    AND counted.challenger_version = pairs.challenger_version
    AND counted.outcome = pairs.outcome
WHERE true_labels.dt BETWEEN :from_dt AND :to_dt
    AND (true_labels.source = 'sample' OR (true_labels.source = 'below_threshold' AND pairs.outcome = 'needs_review'))
ORDER BY true_labels.labelled_at, pairs.upload_id
