//! Numbers for the variants of enumerations, as they stand in files. Never renumbered; 0 is nothing.

use crate::monitor::counter::{Class, Health, Kind, Unit};
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::PageState;

/// The number of a source.
#[must_use]
pub fn of_source(source: SourceKind) -> u32 {
    match source {
        SourceKind::Page => 1,
        SourceKind::Sysfs => 2,
        SourceKind::Netlink => 3,
        SourceKind::Netdev => 4,
    }
}

/// The source with this number.
#[must_use]
pub fn source(number: u32) -> Option<SourceKind> {
    [SourceKind::Page, SourceKind::Sysfs, SourceKind::Netlink, SourceKind::Netdev]
        .into_iter()
        .find(|&source| of_source(source) == number)
}

/// The number of a page's state.
#[must_use]
pub fn of_page_state(state: PageState) -> u32 {
    match state {
        PageState::Alive => 1,
        PageState::Stalled => 2,
        PageState::Closed => 3,
        PageState::Dead => 4,
    }
}

/// The state with this number.
#[must_use]
pub fn page_state(number: u32) -> Option<PageState> {
    [PageState::Alive, PageState::Stalled, PageState::Closed, PageState::Dead]
        .into_iter()
        .find(|&state| of_page_state(state) == number)
}

/// The number of a kind; the bits of a saturating one are apart.
#[must_use]
pub fn of_kind(kind: Kind) -> u32 {
    match kind {
        Kind::Monotonic64 => 1,
        Kind::Wrap32 => 2,
        Kind::Saturating(_) => 3,
        Kind::Gauge => 4,
        Kind::Setting => 5,
    }
}

/// The kind with this number. One from the future has no rate: that is never wrong.
#[must_use]
pub fn kind(number: u32, bits: u32) -> Kind {
    match number {
        1 => Kind::Monotonic64,
        2 => Kind::Wrap32,
        3 => Kind::Saturating(u8::try_from(bits).unwrap_or(64)),
        4 => Kind::Gauge,
        _ => Kind::Setting,
    }
}

/// The number of a class.
#[must_use]
pub fn of_class(class: Class) -> u32 {
    match class {
        Class::Traffic => 1,
        Class::Congestion => 2,
        Class::Loss => 3,
        Class::Error => 4,
        Class::Neutral => 5,
    }
}

/// The class with this number; one from the future is neutral.
#[must_use]
pub fn class(number: u32) -> Class {
    [Class::Traffic, Class::Congestion, Class::Loss, Class::Error]
        .into_iter()
        .find(|&class| of_class(class) == number)
        .unwrap_or(Class::Neutral)
}

/// The number of a unit.
#[must_use]
pub fn of_unit(unit: Unit) -> u32 {
    match unit {
        Unit::Bytes => 1,
        Unit::Words => 2,
        Unit::Packets => 3,
        Unit::Operations => 4,
        Unit::Milliseconds => 5,
        Unit::Count => 6,
    }
}

/// The unit with this number; one from the future is only a count.
#[must_use]
pub fn unit(number: u32) -> Unit {
    [Unit::Bytes, Unit::Words, Unit::Packets, Unit::Operations, Unit::Milliseconds]
        .into_iter()
        .find(|&unit| of_unit(unit) == number)
        .unwrap_or(Unit::Count)
}

/// The number of a health quantity.
#[must_use]
pub fn of_health(health: Health) -> u32 {
    match health {
        Health::Drops => 1,
        Health::Retransmits => 2,
        Health::Timeouts => 3,
        Health::Congestion => 4,
    }
}

/// The health quantity with this number.
#[must_use]
pub fn health(number: u32) -> Option<Health> {
    Health::ALL.into_iter().find(|&health| of_health(health) == number)
}
