//! Whether how long something is spoken decides what is seen.

use std::collections::HashSet;

use super::order::{Item, key};
use crate::expr::Expression;
use crate::fault::At;
use crate::template::document::Document;
use crate::template::layer::Repeat;
use crate::template::read::{Read, Visit};
use crate::template::scalar::NameKind;

/// Whether the length of a generated voice can change a frame of the video: by a scene that lasts as long as it, or by way of
/// an expression that holds its `duration`. What is only heard or read as a caption changes none.
///
/// `order` is the order of filling, in which each value comes after what it uses.
pub(crate) fn times_frames(document: &Document, order: &[Item]) -> bool {
    let voices = document.generate.entries.iter().filter(|(_, _, generator)| generator.voice.is_some());
    let mut timed: HashSet<String> = voices.map(|(name, ..)| name.clone()).collect();
    if timed.is_empty() {
        return false;
    }
    for item in order {
        let (name, uses) = match *item {
            Item::Var(index) => {
                let (name, _, value) = &document.vars.entries[index];
                (format!("vars.{name}"), uses_any(value, &timed))
            }
            Item::Words(index) => {
                let (name, _, words) = &document.strings.entries[index];
                (format!("t.{name}"), uses_any(words, &timed))
            }
            Item::Generator(index) => {
                let (name, _, generator) = &document.generate.entries[index];
                (name.clone(), uses_any(generator, &timed))
            }
        };
        if uses {
            timed.insert(name);
        }
    }
    uses_any(&document.scenes, &timed)
        || uses_any(&document.styles, &timed)
        || uses_any(&document.assets, &timed)
        || uses_any(&document.canvas, &timed)
        || uses_any(&document.locale, &timed)
}

/// Whether `part` uses one of the values that depend on a voice's length.
fn uses_any(part: &impl Read, timed: &HashSet<String>) -> bool {
    struct Uses<'a>(&'a HashSet<String>, bool);
    impl Visit for Uses<'_> {
        fn expression(&mut self, _: &At, _: &str, expression: &Expression, kind: Option<NameKind>) {
            // An expression that names a voice may name any.
            self.1 |= kind == Some(NameKind::Voice);
            self.1 |= expression.references().iter().any(|reference| match reference.path.as_slice() {
                // All named values together hold those that depend on it; so does all of the data.
                [] => true,
                [group] if group == "vars" || group == "t" => self
                    .0
                    .iter()
                    .any(|name| name.strip_prefix(group.as_str()).is_some_and(|rest| rest.starts_with('.'))),
                path => key(path).is_some_and(|key| self.0.contains(&key)),
            });
        }
        fn name(&mut self, _: &At, kind: NameKind, name: &str) {
            self.1 |= kind == NameKind::Voice || (kind == NameKind::Image && self.0.contains(name));
        }
        fn enter(&mut self, _: Option<&Repeat>) {}
        fn leave(&mut self) {}
    }
    let mut uses = Uses(timed, false);
    part.visit(&mut uses);
    uses.1
}

#[cfg(test)]
mod tests {
    use crate::package::Template;
    use crate::world::Memory;

    #[test]
    fn only_what_is_seen_counts() {
        let template = |top: &str, duration: &str, layer: &str| {
            format!(
                "vignette: 1\nname: t\ncanvas: {{ width: 64, height: 48 }}\n\
                 data: {{ properties: {{ who: {{ default: a }} }} }}\n{top}\n\
                 scenes: [{{ name: s, duration: {duration}, layers: [{layer}] }}]\n"
            )
        };
        let voice = "generate: { said: { voice: { say: \"Hi {{who}}\" } } }\naudio: [{ voice: said }]\n\
                     captions: [{ at: 0s, for: \"{{said.duration}}s\", text: \"{{who}}\" }]";
        let by_var = format!(
            "vars: {{ long: \"{{{{said.duration}}}}\", longer: \"{{{{math vars.long \\\"+\\\" 1}}}}\" }}\n{voice}"
        );
        let plain = "{ text: \"{{who}}\" }";
        let rows = [
            ("no voice", template("", "2s", plain), false),
            ("heard and captioned", template(voice, "2s", plain), false),
            ("a scene as long as it", template(voice, "{ fit: said }", plain), true),
            ("a duration by expression", template(voice, "\"{{said.duration}}s\"", plain), true),
            ("by way of named values", template(&by_var, "\"{{vars.longer}}s\"", plain), true),
            ("a named value that nothing seen uses", template(&by_var, "2s", plain), false),
            ("shown", template(voice, "2s", "{ text: \"{{said.duration}}\" }"), true),
            (
                "a layer's condition",
                template(&by_var, "2s", "{ text: a, when: \"{{gt vars.long 2}}\" }"),
                true,
            ),
        ];
        for (name, text, expected) in rows {
            let opened = Template::open("t.yaml", text.as_bytes(), &Memory::default());
            let template = opened.unwrap_or_else(|faults| panic!("{name}: {faults}\n{text}")).value;
            assert_eq!(template.voices_time_frames(), expected, "{name}");
        }
    }
}
