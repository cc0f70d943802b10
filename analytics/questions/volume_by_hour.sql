-- At which hours (UTC) are images uploaded?
SELECT dt, hour(uploaded_at) AS hour, count(*) AS images
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt
GROUP BY dt, hour(uploaded_at)
ORDER BY dt, hour
