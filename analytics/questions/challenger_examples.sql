-- Which images do the challenger and the model in use classify differently?
-- Three of each pair of answers, in the order of their upload ids, which are hashes.
WITH differing AS (
    SELECT
        outcomes.dt,
        outcomes.upload_id,
        outcomes.bucket,
        outcomes.key,
        outcomes.version_id,
        outcomes.model_version,
        challengers.model_version AS challenger_version,
        outcomes.label,
        challengers.label AS challenger_label,
        outcomes.confidence,
        challengers.confidence AS challenger_confidence,
        row_number() OVER (
            PARTITION BY
                outcomes.model_version, challengers.model_version, outcomes.label, challengers.label
            ORDER BY outcomes.upload_id
        ) AS nth_of_pair
    FROM outcomes
    JOIN challenger_answers AS challengers
        ON challengers.dt = outcomes.dt AND challengers.upload_id = outcomes.upload_id
    WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
        AND challengers.dt BETWEEN :from_dt AND :to_dt
        AND outcomes.is_classified
        AND outcomes.endpoint IS DISTINCT FROM challengers.endpoint
        AND outcomes.label <> challengers.label
)
SELECT
    bucket,
    key,
    version_id,
    model_version,
    challenger_version,
    label,
    challenger_label,
    confidence,
    challenger_confidence
FROM differing
WHERE nth_of_pair <= 3
ORDER BY upload_id
LIMIT :limit
