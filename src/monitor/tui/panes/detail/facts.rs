//! Lines of `name  text`, wrapped under the text.

use ratatui::text::{Line, Span};

use super::super::super::state::State;
use super::super::super::theme::Token;
use super::super::notices;
use crate::text::printable;

/// Width of the facts' names.
const LABEL: usize = 11;

/// Collects lines.
pub(super) struct Facts<'a> {
    state: &'a State,
    width: usize,
    pub(super) lines: Vec<Line<'static>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(state: &'a State, width: usize) -> Self {
        Self { state, width, lines: Vec::new() }
    }

    /// A fact.
    pub(super) fn add(&mut self, label: &str, text: &str) {
        self.add_as(label, text, Token::Text);
    }

    /// A fact that looks like `token`.
    pub(super) fn add_as(&mut self, label: &str, text: &str, token: Token) {
        let (muted, style) = (self.state.theme.style(Token::Muted), self.state.theme.style(token));
        let wrapped = notices::wrap(&printable(text), self.width.saturating_sub(LABEL + 1).max(10));
        for (i, line) in wrapped.into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let label = Span::styled(format!("{label:<LABEL$} "), muted);
            self.lines.push(Line::from(vec![label, Span::styled(line, style)]));
        }
    }

    pub(super) fn gap(&mut self) {
        self.lines.push(Line::default());
    }

    /// A heading.
    pub(super) fn head(&mut self, text: &str) {
        self.lines.push(Line::from(Span::styled(text.to_owned(), self.state.theme.style(Token::Strong))));
    }

    /// A line as it is.
    pub(super) fn plain(&mut self, text: &str) {
        self.lines.push(Line::raw(printable(text)));
    }
}
