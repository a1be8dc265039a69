//! The values that expressions see, and reading a field through them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Fill, MAX_TURNS};
use crate::blob::Digest;
use crate::check::order::{Item, key};
use crate::data::{Data, describe};
use crate::expr::{Expression, Locale};
use crate::fault::{At, Fault, Faults, did_you_mean, quoted};
use crate::generate::{Generated, GeneratedValue, Piece, Provenance, Request, Voice};
use crate::package::Template;
use crate::template::layer::{LOOP_FACTS, Repeat};
use crate::template::scalar::{MAX_LENGTH, Scalar};
use crate::template::written::{Form, Written};
use crate::time::{FrameRate, Time};
use crate::units::{Duration, Length, LengthUnit};
use crate::video::Asset;
use crate::viseme::visemes;
use crate::world::World;

/// Everything at hand while one video is filled.
pub(super) struct Filler<'a> {
    pub template: &'a Template,
    pub generated: &'a BTreeMap<String, Generated>,
    pub world: &'a dyn World,
    /// The name of the rendition, or `default`.
    pub rendition: String,
    pub width: u32,
    pub height: u32,
    pub rate: FrameRate,
    pub locale: Locale,
    pub faults: Faults,
    pub warnings: Vec<Fault>,
    /// The assets that are used so far.
    pub assets: BTreeMap<Digest, Asset>,
    /// What each name of an asset was found to be.
    pub resolved: HashMap<(String, &'static str), Option<(Digest, bool)>>,
    pub provenance: BTreeMap<String, Provenance>,
    pub requests: Vec<Request>,
    /// How many layers there are so far.
    pub layers: usize,
    /// Whether viewer data or something generated took part since this was last cleared.
    pub personal: bool,
    /// What expressions see.
    scope: Value,
    /// The variables, by [`key`], that depend on the viewer.
    personal_keys: HashSet<String>,
    /// The variables, by [`key`], that wait for something to be generated.
    pending: HashSet<String>,
    turns: usize,
    stopped: bool,
}

impl<'a> Filler<'a> {
    /// Sees the viewer's data, and nothing that is filled from it yet.
    pub fn new(
        template: &'a Template,
        data: &Data,
        generated: &'a BTreeMap<String, Generated>,
        options: Fill<'_>,
        world: &'a dyn World,
    ) -> Result<Self, Faults> {
        let document = template.document();
        let canvas = &document.canvas;
        let (rendition, width, height) = match options.rendition {
            None | Some("default") => ("default", canvas.width.value.0, canvas.height.value.0),
            Some(name) => match document.renditions.get(name) {
                Some(rendition) => (name, rendition.width.value.0, rendition.height.value.0),
                None => {
                    let known = document.renditions.names().chain(["default"]);
                    let fault = Fault::new(
                        &document.here.within("renditions"),
                        format!("unknown rendition `{name}`"),
                    );
                    return Err(fault.hint_if(did_you_mean(name, known)).into());
                }
            },
        };
        let mut scope: Map<String, Value> = data.fields().clone();
        let personal_keys = scope.keys().cloned().collect();
        scope.insert("vars".into(), Value::Object(Map::new()));
        scope.insert("t".into(), Value::Object(Map::new()));
        let mut filler = Filler {
            template,
            generated,
            world,
            rendition: rendition.to_owned(),
            width,
            height,
            rate: template.frame_rate(),
            locale: Locale::default(),
            faults: Faults::new(),
            warnings: Vec::new(),
            assets: BTreeMap::new(),
            resolved: HashMap::new(),
            provenance: BTreeMap::new(),
            requests: Vec::new(),
            layers: 0,
            personal: false,
            scope: Value::Object(scope),
            personal_keys,
            pending: HashSet::new(),
            turns: 0,
            stopped: false,
        };
        if let Some(locale) = &document.locale
            && let Some(locale) = filler.get(locale)
        {
            filler.locale = locale.0;
        }
        Ok(filler)
    }

    /// Fills named values, words and generated things, each after what it uses. When `asking`, what is not generated yet
    /// becomes a request or waits; otherwise its fallback stands in.
    pub fn settle(&mut self, asking: bool) {
        let document = self.template.document();
        for item in self.template.order() {
            let outer = std::mem::take(&mut self.personal);
            match *item {
                Item::Var(index) => {
                    let (name, _, value) = &document.vars.entries[index];
                    self.settle_value("vars", name, value, |any| any.0);
                }
                Item::Words(index) => {
                    let (name, _, words) = &document.strings.entries[index];
                    let tags: Vec<&str> = words.entries.iter().map(|(tag, ..)| tag.as_str()).collect();
                    self.personal = document.locale.as_ref().is_some_and(|locale| locale.plain().is_none());
                    if let Some(chosen) = choose_language(self.locale.as_str(), &tags) {
                        self.settle_value("t", name, &words.entries[chosen].2, |text| Value::String(text.0));
                    }
                }
                Item::Generator(index) => {
                    let (name, at, generator) = &document.generate.entries[index];
                    match self.generated.get(name) {
                        Some(made) => {
                            self.provenance.insert(name.clone(), made.provenance.clone());
                            self.admit(name, &made.value);
                        }
                        None if asking => self.request(name, generator),
                        None => self.stand_in(name, at, generator),
                    }
                }
            }
            self.personal = outer;
        }
    }

    fn settle_value<T: Scalar>(
        &mut self,
        group: &str,
        name: &str,
        written: &Written<T>,
        to_value: impl FnOnce(T) -> Value,
    ) {
        let full = format!("{group}.{name}");
        if self.waits(written) {
            self.pending.insert(full);
            return;
        }
        let Some(value) = self.get(written) else { return };
        if self.personal {
            self.personal_keys.insert(full);
        }
        if let Some(values) = self.scope.get_mut(group).and_then(Value::as_object_mut) {
            values.insert(name.to_owned(), to_value(value));
        }
    }

    /// Makes something generated visible to expressions.
    pub fn admit(&mut self, name: &str, value: &GeneratedValue) {
        let value = match value {
            GeneratedValue::Text(text) => Value::String(text.clone()),
            GeneratedValue::Voice(voice) => spoken(voice),
            GeneratedValue::Image(_) => return,
        };
        self.personal_keys.insert(name.to_owned());
        if let Some(scope) = self.scope.as_object_mut() {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Notes that `name` is generated later.
    pub fn wait_for(&mut self, name: &str) {
        self.pending.insert(name.to_owned());
    }

    /// Whether `written` uses something that is generated later.
    fn waits<T>(&self, written: &Written<T>) -> bool {
        match &written.form {
            Form::Plain(_) => false,
            Form::Expression { expression, .. } => self.waits_on(expression),
        }
    }

    /// Whether `expression` uses something that is generated later.
    pub fn waits_on(&self, expression: &Expression) -> bool {
        expression.references().iter().any(|reference| match whole(&reference.path) {
            Some(group) => self.pending.iter().any(|pending| pending.starts_with(&format!("{group}."))),
            None => key(&reference.path).is_some_and(|key| self.pending.contains(&key)),
        })
    }

    fn note_personal(&mut self, expression: &Expression) {
        // A viewer's language changes what helpers write even where no other data takes part.
        let by_language =
            self.template.document().locale.as_ref().is_some_and(|locale| locale.plain().is_none());
        self.personal |= (by_language && !expression.is_literal())
            || expression.references().iter().any(|reference| {
                whole(&reference.path).is_some()
                    || key(&reference.path).is_some_and(|key| self.personal_keys.contains(&key))
            });
    }

    /// The value of a field; `None` after a fault.
    pub fn get<T: Scalar>(&mut self, written: &Written<T>) -> Option<T> {
        let (source, expression) = match &written.form {
            Form::Plain(value) => return Some(value.clone()),
            Form::Expression { source, expression } => (source, expression),
        };
        self.note_personal(expression);
        let (result, found) = if T::TYPED {
            match expression.evaluate(&self.scope, &self.locale) {
                Ok(value) => (T::from_value(&value), describe(&value)),
                Err(error) => return self.refuse(written, source, error),
            }
        } else {
            match expression.render(&self.scope, &self.locale) {
                Ok(text) => (T::parse(&text), quoted(&text)),
                Err(error) => return self.refuse(written, source, error),
            }
        };
        match result {
            Ok(value) => Some(value),
            Err(mismatch) => {
                let fault = Fault::new(&written.at, format!("expected {}", mismatch.expected));
                let fault = fault.found_as(format!("{found} (from {})", quoted(source)));
                self.faults.push(fault.hint_if(mismatch.hint));
                None
            }
        }
    }

    /// A filled text in pieces; the fault of one that cannot be filled is told by [`Filler::get`].
    pub fn pieces<T: Scalar>(&self, written: &Written<T>) -> Vec<Piece> {
        match &written.form {
            Form::Plain(_) => Vec::new(),
            Form::Expression { expression, .. } => {
                expression.render_pieces(&self.scope, &self.locale).unwrap_or_default()
            }
        }
    }

    /// The texts in the viewer's personal fields.
    pub fn personal_values(&self) -> Vec<String> {
        self.template.contract().personal_values(&self.scope)
    }

    fn refuse<T>(&mut self, written: &Written<T>, source: &str, error: crate::expr::ExprError) -> Option<T> {
        let fault = Fault::new(&written.at, format!("{} (in {})", error.message, quoted(source)));
        self.faults.push(fault.hint_if(error.hint));
        None
    }

    /// The value of a field that may be absent.
    pub fn opt<T: Scalar>(&mut self, written: &Option<Written<T>>) -> Option<T> {
        written.as_ref().and_then(|written| self.get(written))
    }

    /// Does `turn` once, or for each entry of the list in `repeat` with the loop's variables in sight.
    pub fn each_turn(&mut self, repeat: Option<&Repeat>, mut turn: impl FnMut(&mut Self, Option<usize>)) {
        let Some(repeat) = repeat else { return turn(self, None) };
        let outer = std::mem::take(&mut self.personal);
        let list = self.get(&repeat.r#for);
        let personal = std::mem::replace(&mut self.personal, outer);
        let Some(list) = list else { return };
        let name = repeat.variable();
        let names: Vec<String> = std::iter::once(name.to_owned())
            .chain(LOOP_FACTS.iter().map(|fact| format!("{name}{fact}")))
            .collect();
        let hidden: Vec<Option<Value>> = names.iter().map(|name| self.scope.get(name).cloned()).collect();
        let newly: Vec<&String> = names.iter().filter(|_| personal).collect();
        let newly: Vec<String> =
            newly.into_iter().filter(|name| self.personal_keys.insert((*name).clone())).cloned().collect();
        let count = list.0.len();
        for (index, entry) in list.0.into_iter().enumerate() {
            self.turns += 1;
            if self.turns > MAX_TURNS {
                self.stop(&repeat.here, &format!("the repeats take more than {MAX_TURNS} turns together"));
            }
            if self.stopped {
                break;
            }
            let facts = [
                entry,
                index.into(),
                (index + 1).into(),
                (index == 0).into(),
                (index + 1 == count).into(),
                count.into(),
            ];
            if let Some(scope) = self.scope.as_object_mut() {
                scope.extend(names.iter().cloned().zip(facts));
            }
            // How often a repeat turns depends on the viewer, so what it makes does too.
            self.personal |= personal;
            turn(self, Some(index));
        }
        self.personal |= personal;
        if let Some(scope) = self.scope.as_object_mut() {
            for (name, value) in names.into_iter().zip(hidden) {
                match value {
                    Some(value) => scope.insert(name, value),
                    None => scope.remove(&name),
                };
            }
        }
        for name in newly {
            self.personal_keys.remove(&name);
        }
    }

    /// Ends the filling with a fault that makes going on pointless.
    pub fn stop(&mut self, at: &At, message: &str) {
        if !self.stopped {
            self.stopped = true;
            self.faults
                .push(Fault::new(at, message).hint("shorten the list in the data, e.g. with `maxItems`"));
        }
    }

    /// Whether [`Filler::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// A duration as time.
    pub fn time(&self, duration: Duration) -> Time {
        match duration {
            Duration::Time(time) => time,
            Duration::Frames(frames) => {
                let time = self.rate.time_of(frames.unsigned_abs());
                if frames < 0 { Time::ZERO - time } else { time }
            }
        }
    }

    /// A length in pixels; a percentage is of `whole`, an em of `em`.
    pub fn px(&mut self, at: &At, length: Length, whole: f32, em: Option<f32>) -> Option<f32> {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let unit = match length.unit {
            LengthUnit::Px => 1.0,
            LengthUnit::Percent => f64::from(whole) / 100.0,
            LengthUnit::Vmin => width.min(height) / 100.0,
            LengthUnit::Vw => width / 100.0,
            LengthUnit::Vh => height / 100.0,
            LengthUnit::Em => match em {
                Some(em) => f64::from(em),
                None => {
                    let fault = Fault::new(at, "`em` is the size of a text, and there is none here");
                    self.faults.push(fault.hint("write a length such as 96px, 5% or 8vmin"));
                    return None;
                }
            },
        };
        let pixels = length.value * unit;
        if pixels.abs() > MAX_LENGTH {
            self.faults
                .push(Fault::new(at, format!("this is {pixels:.0} px, more than the {MAX_LENGTH} allowed")));
            return None;
        }
        Some(pixels as f32)
    }
}

/// What expressions see of a voice: its length, its words and the shapes of its mouth, in seconds.
fn spoken(voice: &Voice) -> Value {
    // Finer than any frame, and short enough to be read.
    let seconds = |time: Time| (time.as_seconds() * 1000.0).round() / 1000.0;
    let timed = |name: &str, what: &str, start: Time, end: Time| {
        // Whatever is shown for it lasts.
        let length = seconds(end - start).max(0.001);
        serde_json::json!({ name: what, "start": seconds(start), "end": seconds(end), "length": length })
    };
    let words: Vec<Value> =
        voice.words.iter().map(|word| timed("text", &word.text, word.start, word.end)).collect();
    let visemes: Vec<Value> = visemes(&voice.phonemes, voice.duration)
        .iter()
        .map(|shape| timed("viseme", shape.viseme, shape.start, shape.end))
        .collect();
    serde_json::json!({ "duration": voice.duration.as_seconds(), "words": words, "visemes": visemes })
}

/// The group of variables that `path` takes as a whole.
fn whole(path: &[String]) -> Option<&str> {
    match path {
        [group] if group == "vars" || group == "t" => Some(group),
        _ => None,
    }
}

/// The one of `tags` that serves `locale` best: its own, that of its language, or the first.
fn choose_language(locale: &str, tags: &[&str]) -> Option<usize> {
    let find = |wanted: &str| tags.iter().position(|tag| tag.replace('_', "-").eq_ignore_ascii_case(wanted));
    let mut wanted = locale;
    loop {
        if let Some(index) = find(wanted) {
            return Some(index);
        }
        match wanted.rsplit_once('-') {
            Some((shorter, _)) => wanted = shorter,
            None => break,
        }
    }
    // `pt` may be served by `pt-BR`.
    let related = tags.iter().position(|tag| {
        tag.split(['-', '_']).next().is_some_and(|language| language.eq_ignore_ascii_case(wanted))
    });
    related.or(if tags.is_empty() { None } else { Some(0) })
}

#[cfg(test)]
mod tests {
    use super::choose_language;

    #[test]
    fn words_come_in_the_closest_language() {
        let tags = ["en", "pt-BR", "zh-Hant", "ar"];
        for (locale, expected) in
            [("en-GB", 0), ("pt", 1), ("pt-PT", 1), ("zh-Hant-TW", 2), ("ar-EG", 3), ("ja", 0), ("AR", 3)]
        {
            assert_eq!(choose_language(locale, &tags), Some(expected), "{locale}");
        }
        assert_eq!(choose_language("en", &[]), None);
    }
}
