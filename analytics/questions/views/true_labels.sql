-- Label that a person gave to an image: one row for each labelled image, the latest label.
-- An image that was ever drawn at random stays drawn, whoever corrects its label; `sample` counts first.
SELECT
    upload_id,
    key,
    true_label,
    labelled_at,
    labelled_by,
    CASE drawn WHEN 2 THEN 'sample' WHEN 1 THEN 'below_threshold' ELSE source END AS source,
    drawn_with AS draw_probability,
    dt
FROM (
    SELECT
        labels.*,
        max(CASE source WHEN 'sample' THEN 2 WHEN 'below_threshold' THEN 1 ELSE 0 END)
            OVER (PARTITION BY dt, upload_id) AS drawn,
        max(draw_probability) OVER (PARTITION BY dt, upload_id) AS drawn_with,
        row_number() OVER (
            PARTITION BY dt, upload_id
            ORDER BY labelled_at DESC, true_label
        ) AS nth_of_upload
    FROM labels
)
WHERE nth_of_upload = 1
