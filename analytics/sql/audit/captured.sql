-- How many images of these days were imported from an endpoint's data capture?
SELECT count(*) AS images
FROM outcomes
WHERE dt BETWEEN ? AND ? AND bucket = ?
