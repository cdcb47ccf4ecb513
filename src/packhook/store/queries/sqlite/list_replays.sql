-- Select a page of an organization's replays.
SELECT {replay_columns} FROM replays WHERE {conditions} ORDER BY id {order} LIMIT :limit
