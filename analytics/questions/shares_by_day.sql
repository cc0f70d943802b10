-- How do classes, confidences and the images themselves differ from day to day?
-- Steps as in confidence_histogram and input_histograms: 0.01 of confidence, 8 of brightness, half octaves of the others.
-- Of the measure unlike, bin 1 is images that are unlike the model's classes; images without an unfamiliarity have no bin.
SELECT
    dt,
    CASE
        WHEN grouping(label) = 0 THEN 'label'
        WHEN grouping(confidence_bin) = 0 THEN 'confidence'
        WHEN grouping(brightness_bin) = 0 THEN 'brightness'
        WHEN grouping(sharpness_bin) = 0 THEN 'sharpness'
        WHEN grouping(unlike) = 0 THEN 'unlike'
        ELSE 'size_bytes'
    END AS measure,
    label,
    coalesce(confidence_bin, brightness_bin, sharpness_bin, size_bin, unlike) AS bin,
    count(*) AS images
FROM (
    SELECT
        dt,
        label,
        least(CAST(floor(round(confidence * 100, 9)) AS integer), 99) AS confidence_bin,
        CAST(floor(brightness / 8) AS integer) AS brightness_bin,
        CAST(floor(2 * log2(greatest(sharpness, 1e0))) AS integer) AS sharpness_bin,
        CAST(floor(2 * log2(greatest(size_bytes, 1))) AS integer) AS size_bin,
        CASE WHEN unfamiliarity IS NOT NULL THEN CASE WHEN reason = 'unlike_training' THEN 1 ELSE 0 END END AS unlike
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
)
GROUP BY GROUPING SETS (
    (dt, label), (dt, confidence_bin), (dt, brightness_bin), (dt, sharpness_bin), (dt, size_bin), (dt, unlike)
)
ORDER BY dt, measure, label, bin
