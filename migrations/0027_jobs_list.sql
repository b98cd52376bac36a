-- The dead are listed by id, newest first; the others by the primary key, which passes over the dead.
CREATE INDEX jobs_dead_list ON jobs (id) WHERE state = 'dead';
