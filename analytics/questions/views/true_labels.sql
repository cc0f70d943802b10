-- What people say that images show: one row for each image that has a label, the latest one.
SELECT upload_id, key, true_label, labelled_at, dt
FROM (
    SELECT
        labels.*,
        row_number() OVER (PARTITION BY dt, upload_id ORDER BY labelled_at DESC, true_label) AS place
    FROM labels
)
WHERE place = 1
