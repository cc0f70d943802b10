-- Rows that readers see of uploads with rows on more than one day.
SELECT upload_id, dt, outcome, decided_at, result_id, execution_arn
FROM outcomes
WHERE upload_id IN (SELECT upload_id FROM outcomes GROUP BY upload_id HAVING count(*) > 1)
