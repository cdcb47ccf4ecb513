-- By which settlement a delivery was settled last, if it is not leased.
SELECT lease FROM deliveries WHERE seq = ?
