-- How many images came on each day, and what became of them?
SELECT
    dt,
    count(*) AS images,
    count_if(outcome = 'accepted') AS accepted,
    count_if(outcome = 'needs_review') AS needs_review,
    count_if(outcome = 'rejected') AS rejected,
    count_if(outcome = 'failed') AS failed
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt
GROUP BY dt
ORDER BY dt
