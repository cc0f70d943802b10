-- Which accepted images should a person label next, to measure how often accepted images are correct?
-- In the order of their ids, which are hashes: the first of all accepted images, and the first of each class and folder.
-- The 8 folders (the first one of the key) with the most images stand alone; all others share NULL, as in sampling_frame.sql.
WITH classified AS (
    SELECT
        *,
        CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS any_folder
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
        AND is_classified
        AND NOT is_imported -- there is no picture to look at
),
large AS (
    SELECT any_folder AS folder
    FROM classified
    GROUP BY any_folder
    ORDER BY count(*) DESC, any_folder
    LIMIT 8
),
waiting AS (
    SELECT classified.*, large.folder
    FROM classified
    LEFT JOIN large ON large.folder = classified.any_folder
    LEFT JOIN (
        SELECT dt, upload_id
        FROM true_labels
        WHERE dt BETWEEN :from_dt AND :to_dt AND source = 'sample'
    ) AS drawn ON drawn.dt = classified.dt AND drawn.upload_id = classified.upload_id
    WHERE classified.outcome = 'accepted' AND drawn.upload_id IS NULL
),
ordered AS (
    SELECT
        *,
        row_number() OVER (ORDER BY upload_id) AS nth,
        row_number() OVER (PARTITION BY label, folder ORDER BY upload_id) AS nth_of_group
    FROM waiting
)
SELECT
    upload_id,
    bucket,
    key,
    version_id,
    uploaded_at,
    label,
    folder,
    confidence,
    threshold,
    probabilities,
    json_format(CAST(probabilities AS json)) AS scores,
    nth,
    nth_of_group
FROM ordered
WHERE nth <= :limit OR nth_of_group <= :limit / 10
ORDER BY upload_id
