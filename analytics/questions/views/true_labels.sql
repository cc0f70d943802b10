-- Label that a person gave to an image: one row for each labelled image, the latest label.
SELECT upload_id, key, true_label, labelled_at, dt
FROM (
    SELECT
        labels.*,
        row_number() OVER (
            PARTITION BY dt, upload_id
            ORDER BY labelled_at DESC, true_label
        ) AS nth_of_upload
    FROM labels
)
WHERE nth_of_upload = 1
