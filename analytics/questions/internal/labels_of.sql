-- Every label of an upload, the latest first. `counts` tells whether readers take it for the image's true label.
SELECT
    labels.true_label,
    labels.labelled_at,
    labels.labelled_by,
    labels.source,
    labels.draw_probability,
    labels.labelled_at = true_labels.labelled_at
        AND coalesce(labels.true_label, '') = coalesce(true_labels.true_label, '') AS counts
FROM labels
JOIN true_labels ON true_labels.dt = labels.dt AND true_labels.upload_id = labels.upload_id
WHERE labels.upload_id = :upload_id
    AND labels.dt IN (:days)
    AND true_labels.dt IN (:days)
ORDER BY labels.labelled_at DESC, labels.true_label
