"""What `motherfluxer-model check` looks at, by the place it looks."""
