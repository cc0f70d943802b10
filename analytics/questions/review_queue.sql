-- Which images wait for review?
-- Images that need review and have no label, in the order of their ids, which are hashes: whoever labels the first of
-- them labels a random sample. `waiting` is their number in all. Labels of images that a person chose by their reason are not of
-- this sample: such an image waits in its turn all the same.
SELECT
    outcomes.upload_id,
    outcomes.bucket,
    outcomes.key,
    outcomes.version_id,
    outcomes.uploaded_at,
    outcomes.label,
    outcomes.confidence,
    outcomes.threshold,
    outcomes.probabilities,
    json_format(CAST(outcomes.probabilities AS json)) AS scores,
    outcomes.reason,
    labelled.upload_id IS NOT NULL AS is_labelled,
    count(*) OVER () AS waiting
FROM outcomes
LEFT JOIN (
    SELECT dt, upload_id, source
    FROM true_labels
    WHERE dt BETWEEN :from_dt AND :to_dt
) AS labelled ON labelled.dt = outcomes.dt AND labelled.upload_id = outcomes.upload_id
WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
    AND outcomes.outcome = 'needs_review'
    AND NOT outcomes.is_imported -- there is no picture to look at
    AND (labelled.upload_id IS NULL OR labelled.source = 'one_kind')
ORDER BY outcomes.upload_id
LIMIT :limit
