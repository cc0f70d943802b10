-- Key, day and classes of uploads: the classes as JSON, because Athena's text of an array does not tell where a name ends.
SELECT upload_id, key, dt, json_format(CAST(map_keys(probabilities) AS json)) AS classes
FROM outcomes
WHERE upload_id IN (:upload_ids)
