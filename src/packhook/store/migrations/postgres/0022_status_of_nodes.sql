-- What each node last said about itself (core/overview.py), as JSON, for the operator. A node of an earlier version says
-- nothing.
ALTER TABLE nodes ADD COLUMN status text NOT NULL DEFAULT '';
