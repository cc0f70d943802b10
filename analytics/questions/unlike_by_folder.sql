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
weeks AS (
    SELECT week, min(ROW(-unlike, -images, folder), 50) AS largest
    FROM folders
    GROUP BY week
),
chosen AS (
    SELECT week, folder
    FROM weeks
    CROSS JOIN UNNEST(largest) AS named (minus_unlike, minus_images, folder)
)
SELECT
    folders.week,
    chosen.folder,
    sum(images) AS images,
    sum(unlike) AS unlike,
    sum(unfamiliarity_sum) / 1e10 / sum(images) AS mean_unfamiliarity
FROM folders
LEFT JOIN chosen ON chosen.week = folders.week AND chosen.folder = folders.folder
GROUP BY 1, 2
ORDER BY week, chosen.folder IS NULL, unlike DESC, images DESC, folder
