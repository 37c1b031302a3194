"""From archives to decoded audio: wav (one clip), store (many), ingest (an archive into a store)."""
