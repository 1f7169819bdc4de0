//! Git, by the `git` executable.
