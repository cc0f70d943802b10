-- How many rows of the table are duplicates or earlier outcomes of an upload, which are not counted?
SELECT
    stored.week,
    stored.rows_stored,
    coalesce(counted.uploads, 0) AS uploads,
    stored.rows_stored - coalesce(counted.uploads, 0) AS duplicates_removed
FROM (
    SELECT date_trunc('week', CAST(dt AS date)) AS week, count(*) AS rows_stored
    FROM predictions
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY date_trunc('week', CAST(dt AS date))
) AS stored
LEFT JOIN (
    SELECT date_trunc('week', CAST(dt AS date)) AS week, count(*) AS uploads
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt
    GROUP BY date_trunc('week', CAST(dt AS date))
) AS counted ON counted.week = stored.week
ORDER BY stored.week
