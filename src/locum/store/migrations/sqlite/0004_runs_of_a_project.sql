-- Runs by their id alone, and from there on in the list of all runs of a project.
CREATE INDEX runs_of_project ON runs (project_id, id);
