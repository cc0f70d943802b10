-- What the challenger would have decided about an upload: one row for each upload and challenger.
-- A batch that is delivered again is answered again. An answer counts before a failure, then the latest.
SELECT
    upload_id,
    bucket,
    key,
    version_id,
    uploaded_at,
    decided_at,
    outcome,
    label,
    confidence,
    threshold,
    unfamiliarity,
    reason,
    detail,
    model_version,
    endpoint,
    dt
FROM (
    SELECT
        challenger.*,
        row_number() OVER (
            PARTITION BY dt, upload_id, endpoint
            ORDER BY :outcome_rank, decided_at DESC, model_version
        ) AS nth_of_upload
    FROM challenger
)
WHERE nth_of_upload = 1
