//! The schema's history, oldest first. A migration that has been released is
//! never edited: add the next one.

mod columns;
mod m0001_initial;
mod m0002_invitations;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Brings a store's schema up to date.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_initial::Migration), Box::new(m0002_invitations::Migration)]
    }
}
