-- Label that a person gave to an image: one row for each labelled image, the latest label.
-- An image that was ever drawn for the random sample stays one of it, whoever corrects its label.
SELECT
    upload_id,
    key,
    true_label,
    labelled_at,
    labelled_by,
    CASE WHEN is_sampled = 1 THEN 'sample' ELSE source END AS source,
    drawn_with AS draw_probability,
    dt
FROM (
    SELECT
        labels.*,
        max(CASE WHEN source = 'sample' THEN 1 ELSE 0 END) OVER (PARTITION BY dt, upload_id) AS is_sampled,
        max(draw_probability) OVER (PARTITION BY dt, upload_id) AS drawn_with,
        row_number() OVER (
            PARTITION BY dt, upload_id
            ORDER BY labelled_at DESC, true_label
        ) AS nth_of_upload
    FROM labels
)
WHERE nth_of_upload = 1
