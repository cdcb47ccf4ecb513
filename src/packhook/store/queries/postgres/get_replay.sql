-- Select one replay of an organization.
SELECT {replay_columns} FROM replays WHERE organization_id = $1 AND id = $2
