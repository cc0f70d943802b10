-- Every row about the uploads of a key, copies included: those of one version first, then the latest uploads.
-- `counts` tells whether it is the row that the view `outcomes` has of its upload and day: the first in the same order.
-- Identical copies of it count, too. The view itself would read the table's files four times.
SELECT
    "$path" AS path,
    predictions.*,
    json_format(CAST(probabilities AS json)) AS scores,
    min(coalesce(first_decided_at, decided_at)) OVER (PARTITION BY dt, upload_id, :outcome_rank) AS first_at,
    rank() OVER (PARTITION BY dt, upload_id ORDER BY :outcome_rank, decided_at DESC, result_id) = 1 AS counts
FROM predictions
WHERE key = :key AND dt IN (:days)
ORDER BY
    CASE WHEN :version IN (version_id, etag) THEN 0 ELSE 1 END,
    uploaded_at DESC,
    upload_id,
    decided_at,
    "$path",
    outcome
LIMIT :limit
