-- How many images came from each folder (the first one of the key) in each week, by outcome?
-- Images without a folder are in ''. The 50 folders of a week with the most images have rows of their own. In every week, so
-- have the ten whose accepted share fell most against the weeks before. All others share NULL; `folders` counts them.
-- Only folders that may have a row are compared with their earlier weeks: each of ten million images may have a folder of its own.
WITH by_folder AS (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS folder,
        count(*) AS images,
        count_if(outcome = 'accepted') AS accepted,
        count_if(outcome = 'needs_review') AS needs_review,
        count_if(outcome = 'rejected') AS rejected,
        count_if(outcome = 'failed') AS failed,
        -- exact sums: the order of rows is open
        sum(CAST(confidence * 1e10 AS bigint)) FILTER (WHERE outcome = 'accepted') AS accepted_sum,
        sum(CAST(confidence * 1e10 AS bigint)) FILTER (WHERE outcome = 'needs_review') AS needs_review_sum
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY 1, 2
),
weeks AS (
    SELECT
        week,
        min(ROW(-images, folder), 50) AS largest,
        array_agg(ROW(-images, folder)) FILTER (WHERE images - failed >= 20) AS comparable
    FROM by_folder
    GROUP BY week
),
named AS (
    SELECT DISTINCT name
    FROM weeks
    CROSS JOIN UNNEST(largest || coalesce(comparable, ARRAY[])) AS either (minus_images, name)
),
beside_earlier_weeks AS (
    SELECT
        week,
        folder,
        images,
        accepted,
        images - failed AS not_failed,
        sum(accepted) OVER earlier AS accepted_before,
        sum(images - failed) OVER earlier AS not_failed_before
    FROM by_folder
    WHERE folder IN (SELECT name FROM named)
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
    SELECT week, folder, folder_rank
    FROM (SELECT *, min(fall_rank) OVER (PARTITION BY folder) AS best_fall_rank FROM ranked)
    WHERE folder_rank <= 50 OR best_fall_rank <= 10
),
shown AS (
    SELECT
        by_folder.week,
        chosen.folder,
        min(folder_rank) AS folder_rank,
        count(*) AS folders,
        sum(images) AS all_images,
        sum(accepted) AS accepted,
        sum(needs_review) AS needs_review,
        sum(rejected) AS rejected,
        sum(failed) AS failed,
        sum(accepted_sum) AS accepted_sum,
        sum(needs_review_sum) AS needs_review_sum
    FROM by_folder
    LEFT JOIN chosen ON chosen.week = by_folder.week AND chosen.folder = by_folder.folder
    GROUP BY 1, 2
)
SELECT
    week,
    folder,
    outcome,
    images,
    confidence_sum / 1e10 AS confidence_sum,
    folders
FROM shown
CROSS JOIN UNNEST(
    ARRAY['accepted', 'needs_review', 'rejected', 'failed', 'unknown'],
    ARRAY[accepted, needs_review, rejected, failed, all_images - accepted - needs_review - rejected - failed],
    ARRAY[accepted_sum, needs_review_sum]
) AS of_outcome (outcome, images, confidence_sum)
WHERE images > 0
ORDER BY week, folder_rank, outcome
