-- How are brightness, sharpness and size distributed in each week?
-- Brightness in steps of 8 of 255; the others by half octaves: bin 9 is from 2 ** 4.5 to just below 2 ** 5.
SELECT
    week,
    CASE
        WHEN grouping(brightness_bin) = 0 THEN 'brightness'
        WHEN grouping(sharpness_bin) = 0 THEN 'sharpness'
        ELSE 'size_bytes'
    END AS input,
    coalesce(brightness_bin, sharpness_bin, size_bin) AS bin,
    CASE
        WHEN grouping(brightness_bin) = 0 THEN brightness_bin * 8e0
        WHEN coalesce(sharpness_bin, size_bin) = 0 THEN 0e0
        ELSE power(2, coalesce(sharpness_bin, size_bin) / 2e0)
    END AS from_value,
    count(*) AS images
FROM (
    SELECT
        date_trunc('week', CAST(dt AS date)) AS week,
        CAST(floor(brightness / 8) AS integer) AS brightness_bin,
        CAST(floor(2 * log2(greatest(sharpness, 1e0))) AS integer) AS sharpness_bin,
        CAST(floor(2 * log2(greatest(size_bytes, 1))) AS integer) AS size_bin
    FROM outcomes
    WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
)
GROUP BY GROUPING SETS ((week, brightness_bin), (week, sharpness_bin), (week, size_bin))
ORDER BY week, input, bin
