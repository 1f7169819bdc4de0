//! Incident → Diagnosis: rank the suspects, then prove by experiment.
