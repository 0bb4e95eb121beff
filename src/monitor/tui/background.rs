//! Asking the terminal for its background, without waiting for the answer.
//!
//! xterm's OSC 11 asks for the colour (`ctlseqs`, "Operating System Commands"), and the terminal answers as if somebody
//! typed: `ESC ] 1 1 ; rgb:ffff/ffff/ffff` and a BEL or `ESC \`. crossterm knows no such answer and reports Alt-], then
//! the characters. [`Listener`] takes these keys out of the others: nothing waits, what a person types meanwhile passes
//! unchanged, and an answer that comes late or never does no harm.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::theme::Background;

/// The question.
pub(super) const QUERY: &[u8] = b"\x1b]11;?\x1b\\";

/// What every answer begins with, behind `ESC ]`.
const BEGIN: &str = "11;rgb";
/// The longest answer has four digits per colour, and perhaps an opacity.
const LONGEST: usize = "11;rgba:ffff/ffff/ffff/ffff".len();

/// Whether a terminal that calls itself `term` is asked. Some say nothing to it, and one (a real VT220) would print it.
pub(super) fn can_ask(term: Option<&str>, in_screen: bool) -> bool {
    let strange = ["linux", "dumb", "vt", "cons", "sun"];
    !in_screen
        && term.is_some_and(|term| !term.is_empty() && !strange.iter().any(|name| term.starts_with(name)))
}

/// What a key turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Perhaps part of the answer: wait for more.
    Nothing,
    /// These were typed: the key, and those held back before it.
    Keys(Vec<KeyEvent>),
    /// The answer; `None` when it says no colour.
    Answer(Option<Background>),
}

/// Picks the answer out of the keys.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// Whether an answer may still come.
    waiting: bool,
    held: Vec<KeyEvent>,
    text: String,
}

impl Listener {
    /// The question has been asked.
    pub(super) fn asked(&mut self) {
        self.waiting = true;
    }

    /// No answer will come any more.
    pub(super) fn give_up(&mut self) {
        self.waiting = false;
    }

    /// Whether an answer may still come.
    pub(super) fn waits(&self) -> bool {
        self.waiting
    }

    /// Whether keys are held back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Nobody sends half an answer and stops: what was held back was typed.
    pub(super) fn release(&mut self) -> Vec<KeyEvent> {
        self.text.clear();
        std::mem::take(&mut self.held)
    }

    /// Takes the next key.
    pub(super) fn hear(&mut self, key: KeyEvent) -> Heard {
        if !self.waiting {
            return Heard::Keys(vec![key]);
        }
        let alt = key.modifiers == KeyModifiers::ALT;
        let begins = alt && key.code == KeyCode::Char(']');
        if self.held.is_empty() {
            if begins {
                self.held.push(key);
                return Heard::Nothing;
            }
            return Heard::Keys(vec![key]);
        }
        let ends = (alt && key.code == KeyCode::Char('\\'))
            || (key.modifiers == KeyModifiers::CONTROL && key.code == KeyCode::Char('g'));
        if ends && self.text.starts_with(BEGIN) {
            self.waiting = false;
            let background = background(&self.text);
            self.release();
            return Heard::Answer(background);
        }
        if let (KeyCode::Char(c), true) = (key.code, key.modifiers.difference(KeyModifiers::SHIFT).is_empty())
        {
            self.text.push(c);
            let fits = if self.text.len() <= BEGIN.len() {
                BEGIN.starts_with(&self.text)
            } else {
                self.text.len() <= LONGEST && matches!(c, 'a' | ':' | '/' | '0'..='9' | 'b'..='f' | 'A'..='F')
            };
            if fits {
                self.held.push(key);
                return Heard::Nothing;
            }
        }
        let mut keys = self.release();
        if begins {
            self.held.push(key);
        } else {
            keys.push(key);
        }
        Heard::Keys(keys)
    }
}

/// `11;rgb:ffff/ffff/ffff`, with one to four digits for each.
fn background(answer: &str) -> Option<Background> {
    let (_, colors) = answer.split_once(':')?;
    let mut parts = colors.split('/').map(|digits| {
        let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)?.checked_sub(1)?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        (digits.len() <= 4 && most > 0).then(|| f64::from(value) / f64::from(most))
    });
    let [red, green, blue] = [parts.next()??, parts.next()??, parts.next()??];
    // The luma of Rec. 709 on the values as they are: near enough to perceived lightness to tell paper from slate.
    let light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    Some(if light > 0.5 { Background::Light } else { Background::Dark })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    fn plain(text: &str) -> Vec<KeyEvent> {
        text.chars().map(|c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)).collect()
    }

    fn alt(c: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT)
    }

    const BEL: KeyEvent = KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL);

    /// An answer as crossterm reports it.
    fn answer(text: &str, end: KeyEvent) -> Vec<KeyEvent> {
        let mut keys = vec![alt(']')];
        keys.extend(plain(text));
        keys.push(end);
        keys
    }

    /// What comes out: typed keys, and the answer.
    fn hear(keys: &[KeyEvent]) -> (Vec<KeyEvent>, Option<Option<Background>>, Listener) {
        let mut listener = Listener::default();
        listener.asked();
        let (mut typed, mut found) = (Vec::new(), None);
        for &key in keys {
            match listener.hear(key) {
                Heard::Nothing => {}
                Heard::Keys(keys) => typed.extend(keys),
                Heard::Answer(background) => found = Some(background),
            }
        }
        (typed, found, listener)
    }

    #[test_case("11;rgb:ffff/ffff/ffff", Some(Background::Light))]
    #[test_case("11;rgb:0000/2b2b/3636", Some(Background::Dark); "solarized dark")]
    #[test_case("11;rgb:fdfd/f6f6/e3e3", Some(Background::Light); "solarized light")]
    #[test_case("11;rgb:f/f/f", Some(Background::Light); "one digit each")]
    #[test_case("11;rgba:1e1e/1e1e/1e1e/cccc", Some(Background::Dark); "with an opacity")]
    #[test_case("11;rgb:", None; "no colour")]
    #[test_case("11;rgb://", None; "empty colours")]
    fn reads_answers(text: &str, background: Option<Background>) {
        for end in [BEL, alt('\\')] {
            let (typed, found, listener) = hear(&answer(text, end));
            assert_eq!((typed, found), (vec![], Some(background)));
            assert!(!listener.waits() && !listener.holds());
        }
    }

    #[test]
    fn what_is_typed_around_an_answer_passes() {
        let mut keys = plain("q1");
        keys.extend(answer("11;rgb:0/0/0", BEL));
        keys.extend(plain("r"));
        let (typed, found, _) = hear(&keys);
        assert_eq!((typed, found), (plain("q1r"), Some(Some(Background::Dark))));
    }

    #[test]
    fn half_an_answer_is_given_back() {
        let (typed, found, mut listener) = hear(&[alt(']'), plain("1")[0]]);
        assert_eq!((typed, found), (vec![], None));
        assert_eq!(listener.release(), [alt(']'), plain("1")[0]]);
        assert!(!listener.holds());
    }

    #[test_case(Some("xterm-256color"), false, true)]
    #[test_case(Some("xterm-256color"), true, false; "GNU screen")]
    #[test_case(Some("tmux-256color"), false, true)]
    #[test_case(Some("linux"), false, false)]
    #[test_case(Some("vt220"), false, false)]
    #[test_case(None, false, false)]
    fn asks_those_who_can_answer(term: Option<&str>, in_screen: bool, asks: bool) {
        assert_eq!(can_ask(term, in_screen), asks);
    }

    fn key() -> impl Strategy<Value = KeyEvent> {
        let char =
            prop_oneof![Just(']'), Just('\\'), Just('g'), Just('1'), Just(';'), Just('r'), any::<char>()];
        let modifiers = prop_oneof![
            Just(KeyModifiers::NONE),
            Just(KeyModifiers::ALT),
            Just(KeyModifiers::CONTROL),
            Just(KeyModifiers::SHIFT)
        ];
        (char, modifiers).prop_map(|(c, modifiers)| KeyEvent::new(KeyCode::Char(c), modifiers))
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_is_lost_or_moved(keys in prop::collection::vec(key(), 0..40)) {
            let (mut typed, found, mut listener) = hear(&keys);
            typed.extend(listener.release());
            if found.is_none() {
                prop_assert_eq!(typed, keys);
            }
        }

        #[test]
        fn any_answer_is_taken_or_given_back(colors in "[0-9a-fA-F/:]{0,40}") {
            let (typed, found, _) = hear(&answer(&format!("11;rgb{colors}"), BEL));
            prop_assert!(found.is_some() != !typed.is_empty());
        }
    }
}
