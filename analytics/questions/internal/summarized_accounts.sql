-- Each account that somebody has to look at, without an outcome, failed or counted twice; of the others, how many there are.
SELECT
    CASE WHEN is_settled THEN NULL ELSE key END AS key,
    CASE WHEN is_settled THEN NULL ELSE version_id END AS version_id,
    CASE WHEN is_settled THEN NULL ELSE etag END AS etag,
    CASE WHEN is_settled THEN NULL ELSE size_bytes END AS size_bytes,
    CASE WHEN is_settled THEN NULL ELSE uploaded_at END AS uploaded_at,
    is_listed,
    outcome,
    outcomes,
    count(*) AS uploads
FROM (
    SELECT
        each.*,
        coalesce(outcome <> :failed AND outcomes = 1, FALSE) AS is_settled
    FROM (
:accounts
    ) AS each
)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
