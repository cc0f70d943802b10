-- How many images came from each folder (the first one of the key) in each week, by outcome?
-- Images without a folder are in ''. The 50 folders with the most images have rows of their own, and so have the ten
-- whose accepted share fell most since the week before. All others share NULL; `folders` counts them.
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
by_folder AS (
    SELECT
        week,
        folder,
        sum(images) AS images,
        coalesce(sum(images) FILTER (WHERE outcome = 'accepted'), 0) AS accepted,
        sum(images) FILTER (WHERE outcome <> 'failed') AS not_failed
    FROM counted
    GROUP BY week, folder
),
beside_the_week_before AS (
    SELECT
        week,
        folder,
        images,
        accepted / (not_failed * 1e0) AS accepted_share,
        not_failed,
        lag(week) OVER (PARTITION BY folder ORDER BY week) AS week_before,
        lag(accepted / (not_failed * 1e0)) OVER (PARTITION BY folder ORDER BY week) AS accepted_share_before,
        lag(not_failed) OVER (PARTITION BY folder ORDER BY week) AS not_failed_before
    FROM by_folder
),
fallen AS (
    SELECT
        week,
        folder,
        images,
        CASE
            WHEN week_before = date_add('week', -1, week) AND least(not_failed, not_failed_before) >= 20
                THEN (accepted_share_before - accepted_share)
                    * sqrt(not_failed * not_failed_before / (not_failed + not_failed_before * 1e0))
        END AS fall
    FROM beside_the_week_before
),
ranked AS (
    SELECT
        week,
        folder,
        row_number() OVER (PARTITION BY week ORDER BY images DESC, folder) AS folder_rank,
        CASE
            WHEN fall > 0 THEN row_number() OVER (PARTITION BY week ORDER BY fall DESC NULLS LAST, folder)
            ELSE 11
        END AS fall_rank
    FROM fallen
),
chosen AS (
    SELECT
        week,
        folder,
        folder_rank,
        folder_rank <= 50
            OR fall_rank <= 10
            OR lead(fall_rank, 1, 11) OVER (PARTITION BY folder ORDER BY week) <= 10 AS has_a_row
    FROM ranked
)
SELECT
    counted.week,
    CASE WHEN has_a_row THEN counted.folder END AS folder,
    outcome,
    sum(images) AS images,
    sum(confidence_sum) AS confidence_sum,
    count(DISTINCT counted.folder) AS folders
FROM counted
JOIN chosen ON chosen.week = counted.week AND chosen.folder = counted.folder
GROUP BY 1, 2, 3
ORDER BY week, min(folder_rank), outcome
