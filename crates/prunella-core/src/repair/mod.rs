//! Diagnosis → Candidate: a strategy a file.
