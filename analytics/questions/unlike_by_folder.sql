-- How many images were unlike the model's classes, by week and folder (the first one of the key)?
-- Of the classified images whose endpoint gives an unfamiliarity. The 50 folders with the most unlike images in a week have rows
-- of their own; all others share NULL.
WITH folders AS (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS folder,
        count(*) AS images,
        count_if(reason = 'unlike_training') AS unlike,
        sum(CAST(unfamiliarity * 1e10 AS bigint)) AS unfamiliarity_sum
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified AND unfamiliarity IS NOT NULL
    GROUP BY 1, 2
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY week ORDER BY unlike DESC, images DESC, folder) AS place
    FROM folders
)
SELECT
    week,
    CASE WHEN place <= 50 THEN folder END AS folder,
    sum(images) AS images,
    sum(unlike) AS unlike,
    sum(unfamiliarity_sum) / 1e10 / sum(images) AS mean_unfamiliarity
FROM ranked
GROUP BY 1, 2
ORDER BY week, min(place)
