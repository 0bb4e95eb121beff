//! Maps the fields a page describes to the ones this program knows; keeps the rest by name.

use std::sync::Arc;

use super::{
    bytes::u64_at,
    counts::{Field, FieldKind},
    error::ReadError,
    layout::{FIRST_FIELD, Section},
    parse::SchemaField,
};

/// A field of a newer minor version: shown by its name, without help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraField {
    /// Name in the page, printable.
    pub name: Arc<str>,
    /// Unit in the page, printable.
    pub unit: Arc<str>,
    /// How it behaves over time.
    pub kind: FieldKind,
    /// Its value.
    pub value: u64,
}

/// Where the fields of one section's records lie.
#[derive(Debug)]
pub(super) struct FieldMap<const F: usize> {
    known: [usize; F],
    counted: [bool; F],
    extras: Vec<(usize, ExtraField)>,
}

impl<const F: usize> FieldMap<F> {
    /// `fields` are the known ones, in their order; the page must have those of version 1.0, whatever version it says it
    /// has, and may have the others.
    pub(super) fn new(
        section: Section,
        name: &'static str,
        fields: &[Field; F],
        schema: &[SchemaField],
    ) -> Result<Self, ReadError> {
        let bad = |reason| ReadError::BadSection { section: name, reason };
        let mut known = [usize::MAX; F];
        let mut counted = [false; F];
        let mut extras: Vec<(usize, ExtraField)> = Vec::new();
        for entry in schema.iter().filter(|entry| entry.section == section.kind) {
            let end = entry.offset.saturating_add(8);
            if entry.offset < FIRST_FIELD || end > section.stride || !entry.offset.is_multiple_of(8) {
                return Err(bad("a field lies outside of its record"));
            }
            // Of two fields with one name the first counts.
            if let Some(i) = fields.iter().position(|field| field.name == entry.name) {
                if known[i] == usize::MAX {
                    known[i] = entry.offset;
                    counted[i] = entry.counted;
                }
            } else if entry.counted
                && !entry.name.is_empty()
                && extras.iter().all(|(_, e)| *e.name != *entry.name)
            {
                let field = ExtraField {
                    name: entry.name.as_str().into(),
                    unit: entry.unit.as_str().into(),
                    kind: entry.kind,
                    value: 0,
                };
                extras.push((entry.offset, field));
            }
        }
        if fields.iter().zip(known).any(|(field, offset)| field.since_minor == 0 && offset == usize::MAX) {
            return Err(bad("a field of version 1.0 is missing from the schema"));
        }
        Ok(Self { known, counted, extras })
    }

    /// Offset of the known field `index`.
    pub(super) fn offset(&self, index: usize) -> usize {
        self.known.get(index).copied().unwrap_or(usize::MAX)
    }

    /// Which of the known fields the page has, and its writer counts.
    pub(super) fn there(&self) -> [bool; F] {
        self.counted
    }

    /// The known fields' values in a record; 0 where the page is without the field.
    pub(super) fn values(&self, record: &[u8]) -> [u64; F] {
        self.known.map(|offset| u64_at(record, offset))
    }

    /// The other fields, merged over the records of several threads.
    pub(super) fn extras<'a>(&self, records: &(impl Iterator<Item = &'a [u8]> + Clone)) -> Vec<ExtraField> {
        self.extras
            .iter()
            .map(|(offset, field)| {
                let values = records.clone().map(|record| u64_at(record, *offset));
                ExtraField { value: values.fold(0, |a, b| field.kind.merge(a, b)), ..field.clone() }
            })
            .collect()
    }
}
