//! What Prunella knows of languages: stack traces, project layout, lockfiles. No I/O.
