-- How many imported images are new since an import began, and how many were in the table before?
SELECT
    count_if(first_decided_at >= :started_at) AS new,
    count_if(first_decided_at < :started_at) AS known
FROM outcomes
WHERE is_imported AND dt BETWEEN :from_dt AND :to_dt AND decided_at >= :started_at
