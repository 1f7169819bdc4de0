//! Signal → Anomaly: a detector a file.
