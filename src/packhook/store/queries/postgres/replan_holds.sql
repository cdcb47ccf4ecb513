-- End holds earlier by as much as the clock was set back.
UPDATE lanes SET held_until = greatest($1, held_until - $2) WHERE held_until > $1
