-- How many images came from each folder (the first one of the key) in each week, by outcome?
-- Images without a folder are in ''. The 50 folders with the most images have rows of their own; all others share NULL.
WITH counted AS (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS folder,
        outcome,
        count(*) AS images,
        sum(confidence) FILTER (WHERE is_classified) AS confidence_sum
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY 1, 2, 3
),
folders AS (
    SELECT *, sum(images) OVER (PARTITION BY week, folder) AS images_in_folder
    FROM counted
),
ranked AS (
    SELECT *, dense_rank() OVER (PARTITION BY week ORDER BY images_in_folder DESC, folder) AS folder_rank
    FROM folders
)
SELECT
    week,
    CASE WHEN folder_rank <= 50 THEN folder END AS folder,
    outcome,
    sum(images) AS images,
    sum(confidence_sum) AS confidence_sum
FROM ranked
GROUP BY 1, 2, 3
ORDER BY week, min(folder_rank), outcome
