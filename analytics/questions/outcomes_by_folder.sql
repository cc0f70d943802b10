-- What became of each week's images by where they came from: the first folder of their key?
-- Those without a folder are in ''. The 50 folders with the most images stand for themselves, all others are the NULL.
WITH folders AS (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        CASE WHEN strpos(key, '/') > 0 THEN split_part(key, '/', 1) ELSE '' END AS folder,
        count(*) AS images,
        count_if(outcome = 'accepted') AS accepted,
        count_if(outcome = 'needs_review') AS needs_review,
        count_if(outcome = 'rejected') AS rejected,
        count_if(outcome = 'failed') AS failed,
        sum(confidence) FILTER (WHERE outcome IN ('accepted', 'needs_review')) AS confidence
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY 1, 2
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY week ORDER BY images DESC, folder) AS place
    FROM folders
)
SELECT
    week,
    CASE WHEN place <= 50 THEN folder END AS folder,
    sum(images) AS images,
    sum(accepted) AS accepted,
    sum(needs_review) AS needs_review,
    sum(rejected) AS rejected,
    sum(failed) AS failed,
    sum(confidence) / nullif(sum(accepted + needs_review), 0) AS mean_confidence
FROM ranked
GROUP BY 1, 2
ORDER BY week, images DESC, folder
