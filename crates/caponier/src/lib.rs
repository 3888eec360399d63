//! caponier
