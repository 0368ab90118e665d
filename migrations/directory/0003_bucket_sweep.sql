-- How far the sweep of the bucket is: one row, the last key it looked at. NULL: it begins anew.
CREATE TABLE bucket_sweep (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  after TEXT
);
INSERT INTO bucket_sweep (id, after) VALUES (1, NULL);
