-- Key, day and classes of uploads. No class has a comma in its name.
SELECT upload_id, key, dt, array_join(map_keys(probabilities), ',') AS classes
FROM outcomes
WHERE upload_id IN (:upload_ids)
