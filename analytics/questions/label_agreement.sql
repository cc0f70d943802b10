-- How often do two people say the same about an image?
-- The latest label of each person counts. NULL stands for none of the classes.
WITH said AS (
    SELECT dt, upload_id, labelled_by, true_label
    FROM (
        SELECT
            labels.*,
            row_number() OVER (
                PARTITION BY dt, upload_id, labelled_by
                ORDER BY labelled_at DESC, true_label
            ) AS nth_of_person
        FROM labels
        WHERE dt BETWEEN :from_dt AND :to_dt AND labelled_by IS NOT NULL
    )
    WHERE nth_of_person = 1
)
SELECT
    one.labelled_by AS first_person,
    other.labelled_by AS second_person,
    one.true_label AS first_label,
    other.true_label AS second_label,
    count(*) AS images
FROM said AS one
JOIN said AS other
    ON other.dt = one.dt AND other.upload_id = one.upload_id AND one.labelled_by < other.labelled_by
GROUP BY 1, 2, 3, 4
ORDER BY first_person, second_person, images DESC, first_label, second_label
