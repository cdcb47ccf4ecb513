"""One behaviour suite for every database: what ``packhook.store.base`` promises."""
