-- Insert a replay; it is driven from its creation on.
INSERT INTO replays ({replay_columns}, step_at) VALUES ({replay_values:1}, $18)
