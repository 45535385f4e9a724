//! The secret keys: they seal what must be shown again (tokens) and what goes
//! out and comes back (page tokens).
