-- When was each classified image uploaded, and with which confidence was it classified?
-- Images in one cell are one row, so that the answer stays small for any number of images. A cell is :minutes wide. :cells_per_unit
-- cells are as high as one unit of -ln(1.005 - confidence), a scale that widens towards 1, where decisions are made.
SELECT
    CAST(floor(date_diff('minute', CAST(:from_dt AS timestamp), uploaded_at) / (:minutes * 1e0)) AS integer) AS time_cell,
    CAST(floor(-:cells_per_unit * ln(1.005e0 - confidence)) AS integer) AS confidence_cell,
    outcome,
    count(*) AS images
FROM outcomes
WHERE dt BETWEEN :from_dt AND :to_dt AND is_classified
GROUP BY
    CAST(floor(date_diff('minute', CAST(:from_dt AS timestamp), uploaded_at) / (:minutes * 1e0)) AS integer),
    CAST(floor(-:cells_per_unit * ln(1.005e0 - confidence)) AS integer),
    outcome
ORDER BY time_cell, confidence_cell, outcome
