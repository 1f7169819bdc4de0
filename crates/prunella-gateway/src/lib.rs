//! The data plane: carries the traffic and serves on when the rest of Prunella is gone.
