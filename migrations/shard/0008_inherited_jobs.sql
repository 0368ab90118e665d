-- The few scans that took a job over from one that was cancelled: their result lies under the other's id.
CREATE INDEX scans_inherited ON scans(org, job_id) WHERE job_id IS NOT NULL AND job_id <> id;
