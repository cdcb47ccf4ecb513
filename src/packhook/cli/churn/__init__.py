"""``packhook churn``: whether claiming stays as fast as it was, however many deliveries have come and gone."""
