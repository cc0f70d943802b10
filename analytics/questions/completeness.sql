-- How many uploads of each day are recorded, and how many of them were decided more than an hour later?
-- Compare with a listing of the incoming bucket. Imported images were decided at the import and never count as late.
SELECT
    dt,
    count(*) AS recorded,
    count_if(is_imported) AS imported,
    count_if(first_decided_at > uploaded_at + INTERVAL '1' HOUR AND NOT is_imported) AS late,
    max(decided_at) AS last_decided_at
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt
GROUP BY dt
ORDER BY dt
