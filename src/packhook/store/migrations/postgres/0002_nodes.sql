-- Which leases are whose, so that those of a node that died need not run out first.

CREATE TABLE packhook.nodes (
  id          bigint PRIMARY KEY,
  first_lease bigint NOT NULL,
  last_lease  bigint NOT NULL,
  since       bigint NOT NULL
);

-- What one node has in hand.
CREATE INDEX deliveries_leased ON packhook.deliveries (lease) WHERE status = 'sending';
