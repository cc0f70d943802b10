-- How many images came on each day, by outcome?
SELECT dt, outcome, count(*) AS images
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt
GROUP BY dt, outcome
ORDER BY dt, outcome
