-- The dead are counted at every scrape of the metrics; jobs_due leaves them out.
CREATE INDEX jobs_dead ON jobs (kind, run_at) WHERE state = 'dead';
