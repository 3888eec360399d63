//! End to end: the real program, real clients.
