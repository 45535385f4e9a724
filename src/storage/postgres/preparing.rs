//! Whether statements are prepared by name.
//!
//! PostgreSQL keeps a named statement for its connection. A pooler in transaction mode may give
//! each transaction another connection, on which the name is unknown or belongs to another client's
//! statement. Statements without a name are parsed for each use, but depend on no earlier
//! transaction.

use std::sync::atomic::{AtomicBool, Ordering};

use super::errors::{LOSES_STATEMENTS, loses_statements};
use crate::config::PreparedStatements;
use crate::storage::error::StoreError;

/// Whether the statements of a pool are prepared by name.
#[derive(Default)]
pub(super) struct Preparing {
    setting: PreparedStatements,
    is_lost: AtomicBool,
}

impl Preparing {
    pub(super) fn new(setting: PreparedStatements) -> Self {
        Self { setting, is_lost: AtomicBool::new(false) }
    }

    /// Whether the next statement gets a name.
    pub(super) fn is_on(&self) -> bool {
        match self.setting {
            PreparedStatements::Auto => !self.is_lost.load(Ordering::Relaxed),
            PreparedStatements::On => true,
            PreparedStatements::Off => false,
        }
    }

    /// Called when a named statement is lost; returns whether statements continue to work, without
    /// names.
    pub(super) fn lost(&self) -> bool {
        let is_known = self.is_lost.swap(true, Ordering::Relaxed);
        let is_on = self.is_on();
        if !is_known && is_on {
            tracing::error!("{LOSES_STATEMENTS}");
        } else if !is_known {
            tracing::warn!(
                "a pooler in transaction mode seems to be between this server and PostgreSQL: statements \
                 are not prepared any more, which costs time; set database.prepared_statements \
                 to off, or use PgBouncer 1.21 or newer with max_prepared_statements"
            );
        }
        !is_on
    }

    /// Called when it is not known whether statements get lost.
    pub(super) fn doubt(&self) {
        if self.setting == PreparedStatements::Auto {
            self.lost();
        }
    }

    /// # Errors
    /// If named statements get lost and are required. No statement may run then: its name may
    /// belong to another client's statement.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.is_on() && self.is_lost.load(Ordering::Relaxed) {
            true => Err(loses_statements()),
            false => Ok(()),
        }
    }

    /// Clears the mark of a lost statement, before a check finds out whether statements still get
    /// lost.
    pub(super) fn try_again(&self) {
        self.is_lost.store(false, Ordering::Relaxed);
    }
}
