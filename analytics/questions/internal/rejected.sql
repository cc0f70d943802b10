-- Rejected images that no later upload under the same key has replaced, the latest first.
SELECT key, version_id, etag, upload_id, reason, detail, size_bytes, uploaded_at
FROM (
    SELECT
        key,
        version_id,
        etag,
        upload_id,
        reason,
        detail,
        size_bytes,
        uploaded_at,
        outcome,
        row_number() OVER (PARTITION BY key ORDER BY uploaded_at DESC, decided_at DESC) AS nth_of_key
    FROM outcomes
)
WHERE nth_of_key = 1 AND outcome = 'rejected'
ORDER BY uploaded_at DESC, key
