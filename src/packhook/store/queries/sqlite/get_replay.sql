-- Select one replay of an organization.
SELECT {replay_columns} FROM replays WHERE organization_id = ? AND id = ?
