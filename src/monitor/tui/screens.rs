//! Screens
