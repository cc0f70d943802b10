-- How many images came from each folder (the first one of the key) in each week, by outcome?
-- Images without a folder are in ''. The 50 folders of a week with the most images have rows of their own. In every week, so
-- have the ten whose accepted share fell most against the weeks before. All others share NULL; `folders` counts them.
WITH counted AS (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS folder,
        outcome,
        count(*) AS images,
        sum(CAST(confidence * 1e10 AS bigint)) FILTER (WHERE is_classified) AS confidence_sum -- exact: the order of rows is open
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
beside_earlier_weeks AS (
    SELECT
        week,
        folder,
        images,
        accepted,
        not_failed,
        sum(accepted) OVER earlier AS accepted_before,
        sum(not_failed) OVER earlier AS not_failed_before
    FROM by_folder
    WINDOW earlier AS (PARTITION BY folder ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
fallen AS (
    SELECT
        week,
        folder,
        images,
        CASE
            WHEN least(not_failed, not_failed_before) >= 20
                THEN (accepted_before / (not_failed_before * 1e0) - accepted / (not_failed * 1e0))
                    * sqrt(not_failed * not_failed_before / (not_failed + not_failed_before * 1e0))
        END AS fall
    FROM beside_earlier_weeks
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
        folder_rank <= 50 OR min(fall_rank) OVER (PARTITION BY folder) <= 10 AS has_a_row
    FROM ranked
),
counted_rest AS (
    SELECT *, sum(CASE WHEN has_a_row THEN 0 ELSE 1 END) OVER (PARTITION BY week) AS without_a_row
    FROM chosen
)
SELECT
    counted.week,
    CASE WHEN has_a_row THEN counted.folder END AS folder,
    outcome,
    sum(images) AS images,
    sum(confidence_sum) / 1e10 AS confidence_sum,
    max(CASE WHEN has_a_row THEN 1 ELSE without_a_row END) AS folders
FROM counted
JOIN counted_rest ON counted_rest.week = counted.week AND counted_rest.folder = counted.folder
GROUP BY 1, 2, 3
ORDER BY week, min(folder_rank), outcome
