//! The checks of `spin_lock`, a file a kind. The world decides which of them are built.
