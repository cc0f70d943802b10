-- From how many images of each outcome, class and folder is the random sample drawn, and how far is it labelled?
-- A sample follows the order of upload_id, a hash. `first_undrawn` is the first image that was not labelled as part of a sample.
-- The 8 folders (the first one of the key) with the most images have rows of their own; all others share NULL.
WITH large AS (
    SELECT CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS name
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
        AND is_classified
        AND NOT is_imported
    GROUP BY 1
    ORDER BY count(*) DESC, name
    LIMIT 8
)
SELECT
    classified.outcome,
    label,
    CASE WHEN folder IN (SELECT name FROM large) THEN folder END AS folder,
    count(*) AS images,
    count(drawn.upload_id) AS drawn,
    min(CASE WHEN drawn.upload_id IS NULL THEN classified.upload_id END) AS first_undrawn
FROM (
    SELECT
        dt,
        upload_id,
        outcome,
        label,
        CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS folder
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
        AND is_classified
        AND NOT is_imported -- there is no picture to look at
) AS classified
LEFT JOIN (
    SELECT dt, upload_id, CASE WHEN source = 'sample' THEN 'accepted' ELSE 'needs_review' END AS outcome
    FROM true_labels
    WHERE dt BETWEEN :from_dt AND :to_dt AND source IN ('sample', 'below_threshold')
) AS drawn
    ON drawn.dt = classified.dt AND drawn.upload_id = classified.upload_id AND drawn.outcome = classified.outcome
GROUP BY 1, 2, 3
ORDER BY outcome, label, folder
