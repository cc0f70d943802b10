-- From how many images of each outcome, class and folder is the random sample drawn, and how far is it labelled?
-- A sample follows the order of upload_id, a hash. `first_undrawn` is the first image that was not labelled as part of a sample.
-- The 8 folders (the first one of the key) with the most images have rows of their own; all others share NULL.
WITH grouped AS (
    SELECT
        outcomes.outcome,
        outcomes.label,
        CASE WHEN strpos(outcomes.key, '/') > 0 THEN split_part(outcomes.key, '/', 1) ELSE '' END AS folder,
        count(*) AS images,
        count(drawn.upload_id) AS drawn,
        min(CASE WHEN drawn.upload_id IS NULL THEN outcomes.upload_id END) AS first_undrawn
    FROM outcomes
    LEFT JOIN (
        SELECT dt, upload_id, CASE WHEN source = 'sample' THEN 'accepted' ELSE 'needs_review' END AS outcome
        FROM true_labels
        WHERE dt BETWEEN :from_dt AND :to_dt AND source IN ('sample', 'below_threshold')
    ) AS drawn
        ON drawn.dt = outcomes.dt AND drawn.upload_id = outcomes.upload_id AND drawn.outcome = outcomes.outcome
    WHERE outcomes.dt BETWEEN :from_dt AND :to_dt
        AND outcomes.is_classified
        AND NOT outcomes.is_imported -- there is no picture to look at
    GROUP BY 1, 2, 3
),
totals AS (
    SELECT *, sum(images) OVER (PARTITION BY folder) AS images_in_folder
    FROM grouped
),
ranked AS (
    SELECT *, dense_rank() OVER (ORDER BY images_in_folder DESC, folder) AS folder_rank
    FROM totals
)
SELECT
    outcome,
    label,
    CASE WHEN folder_rank <= 8 THEN folder END AS folder,
    sum(images) AS images,
    sum(drawn) AS drawn,
    min(first_undrawn) AS first_undrawn
FROM ranked
GROUP BY 1, 2, 3
ORDER BY outcome, label, folder
