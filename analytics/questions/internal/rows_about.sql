-- Every row about the uploads of a key, copies included: those of one version first, then the latest uploads.
-- `counts` tells whether it is the row that readers see of its upload and day. Identical copies of it count, too.
WITH seen AS (
    SELECT dt, upload_id, result_id, decided_at, execution_arn, first_decided_at
    FROM outcomes
    WHERE key = :key
        AND (dt IN (:days) OR dt >= :from_dt)
)
SELECT
    stored."$path" AS path,
    stored.result_id,
    stored.upload_id,
    stored.bucket,
    stored.version_id,
    stored.etag,
    stored.size_bytes,
    stored.uploaded_at,
    stored.decided_at,
    stored.outcome,
    stored.label,
    stored.confidence,
    stored.threshold,
    stored.probabilities,
    array_join(map_keys(stored.probabilities), ',') AS classes,
    stored.unfamiliarity,
    stored.reason,
    stored.detail,
    stored.model_version,
    stored.endpoint,
    stored.image_format,
    stored.width_px,
    stored.height_px,
    stored.brightness,
    stored.sharpness,
    stored.serialize_ms,
    stored.classify_ms,
    stored.execution_arn,
    stored.dt,
    seen.first_decided_at,
    seen.result_id IS NOT NULL AS counts
FROM predictions AS stored
LEFT JOIN seen
    ON seen.dt = stored.dt
    AND seen.upload_id = stored.upload_id
    AND seen.result_id = stored.result_id
    AND seen.decided_at = stored.decided_at
    AND coalesce(seen.execution_arn, '') = coalesce(stored.execution_arn, '')
WHERE stored.key = :key
    AND (stored.dt IN (:days) OR stored.dt >= :from_dt)
ORDER BY
    CASE WHEN :version IN (stored.version_id, stored.etag) THEN 0 ELSE 1 END,
    stored.uploaded_at DESC,
    stored.upload_id,
    stored.decided_at,
    stored."$path"
LIMIT :limit
