"""The whole service, from publish to history, against receivers that misbehave."""
