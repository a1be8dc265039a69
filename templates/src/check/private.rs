//! Which personal fields of a viewer take part in what is asked of generators.

use std::collections::{BTreeMap, BTreeSet};

use super::order::{Item, key};
use crate::data::Contract;
use crate::expr::Expression;
use crate::fault::At;
use crate::template::document::Document;
use crate::template::generate::Generator;
use crate::template::layer::Repeat;
use crate::template::read::{Read, Visit};
use crate::template::scalar::{FileName, NameKind};
use crate::template::written::Written;

/// For each generator, JSON pointers to the personal fields that what a provider is told can hold: directly, or by way of named
/// values and of what is generated before it.
///
/// `order` is the order of filling, in which each value comes after what it uses.
pub(crate) fn sent(
    document: &Document,
    order: &[Item],
    contract: &Contract,
) -> BTreeMap<String, Vec<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut sent = BTreeMap::new();
    let edits =
        |(_, _, made): &(_, _, Generator)| made.image.as_ref().is_some_and(|image| image.from.is_some());
    if contract.personal().is_empty() && !document.generate.entries.iter().any(edits) {
        return sent;
    }
    for item in order {
        let (name, fields) = match *item {
            Item::Var(index) => {
                let (name, _, value) = &document.vars.entries[index];
                (format!("vars.{name}"), fields_of(value, contract, &known))
            }
            Item::Words(index) => {
                let (name, _, words) = &document.strings.entries[index];
                (format!("t.{name}"), fields_of(words, contract, &known))
            }
            Item::Generator(index) => {
                let (name, _, generator) = &document.generate.entries[index];
                let told = match generator {
                    // Neither grammar nor fallback nor seed is ever sent.
                    Generator { text: Some(text), .. } => {
                        let mut told = fields_of(&text.prompt, contract, &known);
                        told.extend(fields_of(&text.facts, contract, &known));
                        told
                    }
                    Generator { voice: Some(voice), .. } => {
                        let mut told = fields_of(&voice.say, contract, &known);
                        if let Some(recording) = &voice.recording {
                            // The file itself stays here; its words are spoken once, to measure the pace.
                            told.extend(fields_of(&recording.holes, contract, &known));
                            told.extend(fields_of(&recording.words, contract, &known));
                        }
                        told.extend(fields_of(&voice.voice, contract, &known));
                        told
                    }
                    Generator { image: Some(image), .. } => {
                        let mut told = fields_of(&image.prompt, contract, &known);
                        told.extend(fields_of(&image.palette, contract, &known));
                        // The pictures themselves are sent.
                        for asset in generator.assets(document) {
                            told.extend(fields_of(asset, contract, &known));
                            told.extend(chosen_by(&asset.image));
                        }
                        for name in generator.pictures() {
                            told.extend(fields_of(name, contract, &known));
                        }
                        told
                    }
                    // A photo, a picture's style and sizes are for this machine alone.
                    _ => BTreeSet::new(),
                };
                sent.insert(name.clone(), told.into_iter().collect());
                (name.clone(), fields_of(generator, contract, &known))
            }
        };
        known.insert(name, fields);
    }
    sent
}

/// What a picture's file is chosen by: one that the data choose is the viewer's own, whatever the schema says of the field.
fn chosen_by(file: &Option<Written<FileName>>) -> BTreeSet<String> {
    struct Paths(BTreeSet<String>);
    impl Visit for Paths {
        fn expression(&mut self, _: &At, _: &str, expression: &Expression, _: Option<NameKind>) {
            let escaped = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let paths = expression.references().iter();
            self.0.extend(paths.map(|reference| reference.path.iter().map(escaped).collect::<String>()));
        }
        fn name(&mut self, _: &At, _: NameKind, _: &str) {}
        fn enter(&mut self, _: Option<&Repeat>) {}
        fn leave(&mut self) {}
    }
    let mut paths = Paths(BTreeSet::new());
    file.visit(&mut paths);
    paths.0
}

/// The personal fields that `part` uses.
fn fields_of<T: Read>(
    part: &T,
    contract: &Contract,
    known: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<String> {
    struct Uses<'a> {
        contract: &'a Contract,
        known: &'a BTreeMap<String, BTreeSet<String>>,
        fields: BTreeSet<String>,
    }
    impl Visit for Uses<'_> {
        fn expression(&mut self, _: &At, _: &str, expression: &Expression, _: Option<NameKind>) {
            for reference in expression.references() {
                let path = reference.path.as_slice();
                match path {
                    // `vars` and `t` as a whole: every one of them.
                    [group] if group == "vars" || group == "t" => {
                        let prefix = format!("{group}.");
                        let all = self.known.iter().filter(|(name, _)| name.starts_with(&prefix));
                        self.fields.extend(all.flat_map(|(_, fields)| fields.iter().cloned()));
                    }
                    path => match key(path).and_then(|key| self.known.get(&key)) {
                        Some(fields) => self.fields.extend(fields.iter().cloned()),
                        // An empty path is all of the data.
                        None => self.fields.extend(self.contract.personal_at(path).map(str::to_owned)),
                    },
                }
            }
        }
        fn name(&mut self, _: &At, _: NameKind, _: &str) {}
        fn enter(&mut self, _: Option<&Repeat>) {}
        fn leave(&mut self) {}
    }
    let mut uses = Uses { contract, known, fields: BTreeSet::new() };
    part.visit(&mut uses);
    uses.fields
}

#[cfg(test)]
mod tests {
    use crate::package::Template;
    use crate::world::Memory;

    #[test]
    fn personal_fields_are_followed() {
        let template = |generate: &str| {
            format!(
                "vignette: 1\nname: t\ncanvas: {{ width: 64, height: 48 }}\n\
                 data:\n  $defs: {{ name: {{ type: string, x-pii: true }} }}\n  \
                 required: [who, plan, home, pets, ref]\n  properties:\n    \
                 who: {{ type: string, x-pii: true }}\n    plan: {{ type: string }}\n    \
                 home: {{ type: object, required: [city, door], properties: {{ city: {{ type: string }}, door: {{ type: string, x-pii: true }} }} }}\n    \
                 pets: {{ type: array, items: {{ type: object, required: [name], properties: {{ name: {{ type: string, x-pii: true }} }} }} }}\n    \
                 ref: {{ $ref: \"#/$defs/name\" }}\n\
                 vars: {{ hello: \"Hi {{{{who}}}}\", place: \"{{{{home.city}}}}\" }}\n\
                 generate:\n  it: {generate}\n\
                 assets: {{ own: {{ image: \"{{{{who}}}}\" }}, shop: {{ image: \"{{{{plan}}}}.png\" }} }}\n\
                 scenes: [{{ name: s, duration: 1s }}]\n"
            )
        };
        let text =
            |prompt: &str| format!("{{ text: {{ prompt: \"{prompt}\", fallback: \"{{{{who}}}}\" }} }}");
        let rows: [(&str, String, &[&str]); 14] = [
            ("a fallback is not sent", text("Greet for {{plan}}"), &[]),
            ("directly", text("Greet {{who}}"), &["/who"]),
            ("in a condition", text("Greet {{#if who}}warmly{{/if}}"), &["/who"]),
            ("by a named value", text("Say {{vars.hello}}"), &["/who"]),
            ("a named value of something else", text("Say {{vars.place}}"), &[]),
            ("a field beside a personal one", text("In {{home.city}}"), &[]),
            ("what holds a personal field", text("In {{#with home}}{{city}}{{/with}}"), &["/home/door"]),
            ("a list", text("Pets: {{#each pets}}{{this.name}} {{/each}}"), &["/pets/*/name"]),
            ("by a reference in the schema", text("Greet {{ref}}"), &["/ref"]),
            ("a photo is not sent", "{ photo: { from: \"{{who}}\", width: 8, height: 8 } }".into(), &[]),
            ("a picture that is changed", "{ image: { prompt: a, from: own } }".into(), &["/who"]),
            ("one that the data choose", "{ image: { prompt: a, from: shop } }".into(), &["/plan"]),
            (
                "a mask, and what chooses it",
                "{ image: { prompt: a, from: shop, mask: \"{{home.door}}\" } }".into(),
                &["/home/door", "/plan", "/who"],
            ),
            ("facts", "{ text: { prompt: Greet, facts: [\"{{who}}\"], fallback: a } }".into(), &["/who"]),
        ];
        for (name, generate, expected) in rows {
            let text = template(&generate);
            let opened = Template::open("t.yaml", text.as_bytes(), &Memory::default());
            let template = opened.unwrap_or_else(|faults| panic!("{name}: {faults}\n{text}")).value;
            let found = template.personal_fields_sent("it");
            // `with` reads what it holds field by field where the checker sees through it.
            let found: Vec<&str> = found.iter().map(String::as_str).collect();
            if name == "what holds a personal field" {
                assert!(found.is_empty() || found == expected, "{name}: {found:?}");
                continue;
            }
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn what_was_generated_carries_its_fields_on() {
        let text = "vignette: 1\nname: t\ncanvas: { width: 64, height: 48 }\n\
                    data: { required: [who], properties: { who: { type: string, x-pii: true } } }\n\
                    generate:\n  hook: { text: { grammar: { start: [\"Hi {{who}}\"] } } }\n  \
                    said: { voice: { say: \"{{hook}}\" } }\n\
                    scenes: [{ name: s, duration: 1s }]\n";
        let template = Template::open("t.yaml", text.as_bytes(), &Memory::default()).unwrap().value;
        assert!(template.personal_fields_sent("hook").is_empty());
        assert_eq!(template.personal_fields_sent("said"), ["/who"]);
    }
}
