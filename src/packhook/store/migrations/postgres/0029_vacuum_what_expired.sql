-- By default a table is vacuumed when a fifth of it is dead. Retention begins at the oldest event, so until then it goes
-- through the index entries of those that were deleted: two million, where ten million are kept.
ALTER TABLE packhook.events SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE packhook.attempts SET (autovacuum_vacuum_scale_factor = 0.05);
