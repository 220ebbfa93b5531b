"""From evidence to an answer whose citations were checked."""
