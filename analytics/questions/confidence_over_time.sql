-- Where does each classified image lie in time and confidence?
-- Images that share a cell are one row, so that the answer stays small for any number of them. A cell is so many minutes wide, and so high that so many make a unit
-- of -ln(1.005 - confidence), a scale that widens towards 1, where decisions are made.
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
