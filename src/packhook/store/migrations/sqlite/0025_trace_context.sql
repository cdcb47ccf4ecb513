-- The trace context of who published an event (core/trace_context.py); empty: there is none.
ALTER TABLE events ADD COLUMN trace_context TEXT NOT NULL DEFAULT '';
